"""Whom the holder believes to watch the relay's log, and what they say of it.

The witnesses are learnt from nobody but the holder: a relay that named them could invent them.
"""

from did.json import JsonObject, canonicalize, parse_object
from did.time import format_time
from pds.log.errors import ForkedLog
from pds.log.policy import Waiting, WitnessPolicy
from pds.mailbox import RelayError
from pds.mailbox.witnessing import cosigned_by_quorum, shown_by_witnesses
from pds.vault.context import Context, HomeRelay, witness_policy
from pds.vault.logwatch import LogWatch
from pds.vault.report import SyncReport, report_evidence

POLICY = "witnesses"
_WAITING = "witnesses_waiting"
_TOLD = "witnesses_told"


def set_policy(ctx: Context, policy: WitnessPolicy | None) -> None:
    """Believe these witnesses from now on; None: nobody."""
    with ctx.transaction():
        if policy is None:
            ctx.exchange.remove_setting(POLICY)
        else:
            ctx.exchange.set_setting(POLICY, canonicalize(policy.to_json()).decode())
        ctx.exchange.remove_setting(_WAITING)
        ctx.log("witnesses", "vault", {"count": 0 if policy is None else len(policy.witnesses)})
    ctx.connect()


def hear_witnesses(ctx: Context, home: HomeRelay, log: LogWatch, report: SyncReport) -> None:
    """Hold what the witnesses have cosigned against what the relay shows.

    Raises ``LogMisbehaved`` when it does not fit, and the relay's errors. What a quorum should have
    cosigned by now and has not is the problem ``log.unwitnessed``, in every round until it has.
    """
    policy = witness_policy(ctx.exchange.setting(POLICY))
    if policy is None:
        return
    now, origin, key = ctx.now(), home.log_origin, home.log_keys
    # 1. What the witnesses show themselves: the relay has no hand in it.
    for note in shown_by_witnesses(
        ctx.transport, policy.witnesses, origin=origin, key=key, now=now
    ):
        try:
            log.check(note)
        except RelayError as error:
            if error.exit_code == 4:
                raise
            raise ForkedLog(
                "the relay does not connect its log with what a witness has cosigned",
                old_note=log.note or "",
                new_note=note,
                proven=False,
                hint="Both checkpoints are kept as evidence.",
            ) from error
    # 2. What the relay shows with their cosignatures.
    client = ctx.client(home.url)
    cosigned = cosigned_by_quorum(client, origin=origin, key=key, policy=policy, now=now)
    if cosigned is not None:
        log.check(cosigned.note)
    # 3. What was seen is cosigned in time.
    size = 0 if cosigned is None else cosigned.checkpoint.size
    waiting = _waiting(ctx, origin).after(seen=log.size, cosigned=size, now=now)
    with ctx.transaction():
        ctx.exchange.set_setting(
            _WAITING, canonicalize({"origin": origin, **waiting.to_json()}).decode()
        )
    if not waiting.is_overdue(policy, now) or waiting.since is None:
        return
    since = format_time(waiting.since)
    if ctx.exchange.setting(_TOLD) == since:  # kept as evidence before
        report.problems.append(("log.unwitnessed", home.url))
        return
    report_evidence(
        ctx,
        report,
        "log.unwitnessed",
        home.url,
        {"seen": log.note, "witnessed": waiting.size, "since": since, "quorum": policy.quorum},
    )
    with ctx.transaction():
        ctx.exchange.set_setting(_TOLD, since)


def _waiting(ctx: Context, origin: str) -> Waiting:
    kept = ctx.exchange.setting(_WAITING)
    raw: JsonObject = {} if kept is None else parse_object(kept.encode())
    return Waiting.parse(raw) if raw.get("origin") == origin else Waiting()
