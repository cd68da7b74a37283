"""What one round of ``sync`` did and found."""

from dataclasses import dataclass, field

from did.json import JsonObject
from pds.vault.context import Context
from pds.vault.outbox import PushReport


@dataclass(slots=True)
class SyncReport:
    """What one round did. ``problems`` are codes with the company or package they concern."""

    restaged: int = 0
    renewed: int = 0
    messages: int = 0
    redemptions: int = 0
    refusals: int = 0
    push: PushReport = field(default_factory=lambda: PushReport(0, ()))
    problems: list[tuple[str, str]] = field(default_factory=list)


def report_evidence(
    ctx: Context, report: SyncReport, code: str, subject: str, detail: JsonObject
) -> None:
    """Name a problem in the report, and keep what proves it in the vault."""
    report.problems.append((code, subject))
    with ctx.transaction():
        ctx.exchange.add_evidence(code=code, detail=detail, at=ctx.now())
        ctx.log("problem", subject, {"code": code})
