"""``pds verify``: what a signed grant is worth, said in words. Needs no vault and no network."""

import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from pds.cli.output import Settings, pass_settings

_INVALID, _UNCHECKED = 1, 2


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--purpose", help="The DPV purpose that it must cover.")
@click.option("--audience", help="The company's DID that it must be for.")
@click.option("--field", "fields", multiple=True, help="A field that it must cover.")
@click.option("--status", "status_file", type=click.Path(dir_okay=False, path_type=Path),
              help="The issuer's status list, from a file.")  # fmt: skip
@click.option("--online", is_flag=True, help="Fetch the status list from where the grant says.")
@click.option("--relay", "origins", multiple=True, help="With --online: this relay may be local.")
@click.option("--without-status", is_flag=True, help="Do not ask whether it was withdrawn.")
@click.option("--sandbox", is_flag=True, help="Accept a sandbox grant, which is never live.")
@click.option("--at", metavar="YYYY-MM-DDTHH:MM:SSZ", help="As of this time instead of now.")
@pass_settings
def verify(
    settings: Settings,
    *,
    file: str,
    purpose: str | None,
    audience: str | None,
    fields: tuple[str, ...],
    status_file: Path | None,
    online: bool,
    origins: tuple[str, ...],
    without_status: bool,
    sandbox: bool,
    at: str | None,
) -> None:
    """Verify a grant from FILE, or from standard input with '-'.

    Whether it was withdrawn cannot be known from the grant alone: give --status FILE, --online or
    --without-status.

    \b
    Exit code  "result" in JSON
      0        valid            with what it covers, and what a signature does not prove
      1        withdrawn        by the issuer's own status list
      1        altered          not what was signed, or not signed by its issuer
      1        invalid          over, for another purpose or company, not well-formed, …
      2        could not check  no status list, or not one that answers the question

    Unless valid, JSON has "code", "message", "hint" and "pointer" (where in the document).
    """
    if sum((status_file is not None, online, without_status)) > 1:
        raise click.UsageError("Choose one of --status, --online and --without-status.")
    if origins and not online:
        raise click.UsageError("--relay goes with --online.")
    from credentials.errors import (
        ControllerUnresolved,
        CredentialError,
        StatusUnchecked,
        Withdrawn,
    )
    from credentials.grant import WITHOUT_STATUS, verify_grant
    from did.errors import DidError
    from did.time import parse_time

    raw = _read(settings, file)
    try:
        now: datetime | None = None if at is None else parse_time(at)
    except DidError:
        raise click.UsageError("--at is written YYYY-MM-DDTHH:MM:SSZ.") from None
    status: Any = WITHOUT_STATUS
    if status_file is not None:
        status = _read(settings, str(status_file))
    elif not without_status:
        status = _fetch(origins) if online else _not_asked

    def check(against: Any) -> Any:
        return verify_grant(
            raw,
            purpose=purpose,
            audience=audience,
            fields=fields or None,
            status=against,
            now=now,
            sandbox=sandbox,
        )

    try:
        grant = check(status)
    except (StatusUnchecked, ControllerUnresolved) as error:
        _answer(settings, _UNCHECKED, "could not check", error)
    except Withdrawn as error:
        _answer(settings, _INVALID, "withdrawn", error)
    except (CredentialError, DidError) as error:
        if status is not WITHOUT_STATUS:
            with suppress(CredentialError, DidError):
                check(WITHOUT_STATUS)
                # The grant is sound: what is wrong is what was given as its status list.
                _answer(settings, _UNCHECKED, "could not check", error)
        altered = error.code.startswith(("proof.", "signature.", "json.", "encoding.", "key."))
        _answer(settings, _INVALID, "altered" if altered else "invalid", error)
    else:
        _say_valid(settings, grant, checked=not without_status)


def _read(settings: Settings, file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(2**20 + 1)
        with Path(file).open("rb") as source:
            return source.read(2**20 + 1)
    except OSError:
        from pds.errors import PdsError

        _answer(
            settings,
            _UNCHECKED,
            "could not check",
            PdsError(
                "the file cannot be read",
                code="verify.unreadable",
                hint="Check the path; '-' is standard input.",
            ),
        )


def _not_asked(_url: str) -> bytes:
    from credentials.errors import StatusUnchecked

    raise StatusUnchecked(
        "whether it was withdrawn is not in the grant itself",
        code="status.required",
        hint="Give --status FILE or --online, or say --without-status.",
    )


def _fetch(origins: tuple[str, ...]) -> Any:
    from pds.errors import PdsError
    from pds.net import Transport
    from pds.wire import parse_relay_url

    try:
        trusted = [parse_relay_url(origin) for origin in origins]
    except PdsError:
        raise click.UsageError(
            "--relay takes an origin, such as http://127.0.0.1:8080: no path, no slash at the end."
        ) from None
    transport = Transport(trusted_origins=trusted)

    def fetch(url: str) -> bytes:
        from credentials.errors import StatusUnchecked

        try:
            response = transport.request("GET", url)
        except PdsError as error:
            raise StatusUnchecked(
                f"the status list could not be fetched: {error}",
                code="status.unavailable",
                hint=error.hint,
            ) from error
        if response.status != 200:
            raise StatusUnchecked(
                "the status list is not where the grant says", code="status.unavailable"
            )
        return response.body

    return fetch


def _answer(settings: Settings, exit_code: int, result: str, error: Any) -> NoReturn:
    settings.emit(
        {
            "result": result,
            "code": error.code,
            "message": str(error),
            "pointer": getattr(error, "pointer", ""),
            "hint": error.hint,
        },
        f"{result.capitalize()}: {str(error).rstrip('.')}.  [{error.code}]"
        + (f"\n  {error.hint}" if error.hint else ""),
    )
    raise click.exceptions.Exit(exit_code)


def _say_valid(settings: Settings, grant: Any, *, checked: bool) -> None:
    from credentials.purposes import label
    from did.time import format_time

    terms = grant.terms
    until = format_time(terms.valid_until)
    settings.emit(
        {
            "result": "valid",
            "statusChecked": checked,
            "sandbox": terms.sandbox,
            "id": grant.id,
            "issuer": grant.issuer,
            "company": terms.company,
            "purpose": terms.purpose,
            "basis": terms.basis,
            "fields": sorted(terms.fields),
            "validFrom": format_time(terms.valid_from),
            "validUntil": until,
            "maxUses": terms.max_uses,
            "digest": grant.digest,
            "notProven": list(grant.limits_of_proof),
        },
        "\n".join(
            [
                "Valid" + (", in a sandbox: it is never live." if terms.sandbox else "."),
                f"  {terms.company} may use {', '.join(sorted(terms.fields))}",
                f"  for: {label(terms.purpose)}; until {until}; at most {terms.max_uses} times.",
                f"  Signed by {grant.issuer}.",
                "  Not withdrawn, as of the status list."
                if checked
                else "  Whether it was withdrawn was not checked.",
                "  What a signature does not prove:",
                *(f"  - {limit}" for limit in grant.limits_of_proof),
            ]
        ),
    )
