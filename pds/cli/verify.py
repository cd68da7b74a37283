"""``pds verify``: what a signed grant is worth, said in words. Needs no vault and no network."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pds.cli.output import Settings, count, pass_settings

if TYPE_CHECKING:
    from datetime import datetime

_INVALID, _UNCHECKED = 1, 2
_ALTERED = ("proof.", "signature.", "encoding.", "key.")
_DPV = "https://w3id.org/dpv#"
_HINTS = {
    "credential.type": "FILE is a grant, --status its list. For other credentials see "
    "docs/verify.md.",
    "grant.purpose": "--purpose is what the data is wanted for: a purpose of DPV, as its IRI or "
    "its short name (DeliveryOfGoods).",
    "grant.audience": "--audience is the DID of the company that relies on the grant.",
    "grant.fields": "The fields stand in the grant under credentialSubject/fields.",
    "grant.sandbox": "With --sandbox it is accepted, for trying out.",
    "status.stale": "Get a newer one, or say with --at as of when you ask.",
    "json.syntax": "Check that the whole file is there, and that it is JSON.",
}
_REFUSED = frozenset({"net.url", "net.address_refused"})
_LOCAL = "A relay on this machine has to be named: --relay http://127.0.0.1:PORT"
_OF_TIME = frozenset({"proof.future", "proof.expired", "key.expired", "key.revoked"})


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--purpose", metavar="IRI",
              help="What it must cover: a purpose of DPV, its IRI or DeliveryOfGoods.")  # fmt: skip
@click.option("--audience", metavar="DID",
              help="The company that it must be for, e.g. did:web:shop.example.")  # fmt: skip
@click.option("--field", "fields", multiple=True, help="A field that it must cover.")
@click.option("--status", "status_file", type=click.Path(dir_okay=False),
              help="The issuer's status list, from a file.")  # fmt: skip
@click.option("--online", is_flag=True, help="Fetch the status list from where the grant says.")
@click.option("--relay", "origins", multiple=True, help="With --online: this relay may be local.")
@click.option("--save-status", type=click.Path(dir_okay=False), metavar="FILE",
              help="With --online: keep the list, for --status without the network.")  # fmt: skip
@click.option("--without-status", is_flag=True, help="Do not ask whether it was withdrawn.")
@click.option(
    "--sandbox", is_flag=True, help="Accept a sandbox grant, which is worth nothing outside."
)
@click.option("--at", metavar="YYYY-MM-DDTHH:MM:SSZ", help="As of this time instead of now.")
@pass_settings
def verify(
    settings: Settings,
    *,
    file: str,
    purpose: str | None,
    audience: str | None,
    fields: tuple[str, ...],
    status_file: str | None,
    online: bool,
    origins: tuple[str, ...],
    save_status: str | None,
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
      1        invalid          no whole JSON, over, for another purpose or company, …
      2        could not check  no status list, or not one that answers the question

    Unless valid, JSON has "code", "message", "hint" and "pointer" (where in the document).
    """
    if sum((status_file is not None, online, without_status)) > 1:
        raise click.UsageError("Choose one of --status, --online and --without-status.")
    if origins and not online:
        raise click.UsageError("--relay goes with --online.")
    if save_status is not None and not online:
        raise click.UsageError("--save-status goes with --online.")
    if audience is not None and not audience.startswith("did:"):
        raise click.UsageError("--audience is a DID, such as did:web:shop.example.")
    purpose = _purpose(purpose)
    from credentials.errors import (
        ControllerUnresolved,
        CredentialError,
        StatusUnchecked,
        Withdrawn,
    )
    from credentials.grant import WITHOUT_STATUS, verify_grant
    from did.errors import DidError
    from did.time import parse_time

    raw = _read(settings, file, "the grant")
    try:
        now: datetime | None = None if at is None else parse_time(at)
    except DidError:
        raise click.UsageError("--at is written YYYY-MM-DDTHH:MM:SSZ.") from None
    status: Any = WITHOUT_STATUS
    lists: list[bytes] = []
    if status_file is not None:
        status = _read(settings, status_file, "the status list")
        lists.append(status)
    elif not without_status:
        status = _fetch(origins, save=save_status, seen=lists) if online else _not_asked

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
        cause = error.__cause__  # why the list could not be had, in our own words
        known = cause if isinstance(cause, StatusUnchecked) else error
        about = "the status list: " if status_file is not None else ""
        _answer(settings, _UNCHECKED, "could not check", known, about=about)
    except Withdrawn as error:
        _answer(settings, _INVALID, "withdrawn", error)
    except (CredentialError, DidError) as error:
        if status is not WITHOUT_STATUS:
            with suppress(CredentialError, DidError):
                check(WITHOUT_STATUS)
                # The grant is sound: what is wrong is what was given as its status list.
                _answer(settings, _UNCHECKED, "could not check", error, about="the status list: ")
        altered = error.code.startswith(_ALTERED) and error.code not in _OF_TIME
        _answer(settings, _INVALID, "altered" if altered else "invalid", error)
    else:
        _say_valid(settings, grant, listed=_date_of(lists[-1]) if lists else None)


def _date_of(status_list: bytes) -> str:
    """From when a verified status list is: it says nothing about what came after."""
    from did.json import parse_object

    return str(parse_object(status_list)["validFrom"])


def _purpose(text: str | None) -> str | None:
    """A purpose's IRI, from its short name too."""
    if text is None or ":" in text:
        return text
    from credentials.purposes import is_known

    if not is_known(_DPV + text):
        raise click.UsageError(
            f"--purpose is a purpose of DPV: its IRI, such as {_DPV}DeliveryOfGoods, or its short "
            "name, DeliveryOfGoods."
        )
    return _DPV + text


def _read(settings: Settings, file: str, what: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(2**20 + 1)
        with open(file, "rb") as source:
            return source.read(2**20 + 1)
    except OSError:
        from pds.errors import PdsError

        _answer(
            settings,
            _UNCHECKED,
            "could not check",
            PdsError(
                f"the file of {what} cannot be read",
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


def _fetch(origins: tuple[str, ...], *, save: str | None, seen: list[bytes]) -> Any:
    from pds.errors import PdsError
    from pds.net import NetError, Transport
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
                hint=_LOCAL
                if isinstance(error, NetError) and error.code in _REFUSED
                else error.hint,
            ) from error
        if response.status != 200:
            raise StatusUnchecked(
                "the status list is not where the grant says", code="status.unavailable"
            )
        if save is not None:
            with open(save, "wb") as target:
                target.write(response.body)
        seen.append(response.body)
        return response.body

    return fetch


def _answer(
    settings: Settings, exit_code: int, result: str, error: Any, *, about: str = ""
) -> NoReturn:
    """``about`` says which of two files is at fault, where that is not the grant."""
    message = str(error) if "status list" in str(error) else about + str(error)
    hint = _HINTS.get(error.code) or error.hint
    settings.emit(
        {
            "result": result,
            "code": error.code,
            "message": message,
            "pointer": getattr(error, "pointer", ""),
            "hint": hint,
        },
        f"{result.capitalize()}: {message.rstrip('.')}.  [{error.code}]"
        + (f"\n  {hint}" if hint else ""),
    )
    raise click.exceptions.Exit(exit_code)


def _say_valid(settings: Settings, grant: Any, *, listed: str | None) -> None:
    from credentials.purposes import label
    from did.time import format_time

    terms = grant.terms
    until = format_time(terms.valid_until)
    settings.emit(
        {
            "result": "valid",
            "statusChecked": listed is not None,
            "statusListFrom": listed,
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
                "Valid" + (", in a sandbox: worth nothing outside." if terms.sandbox else "."),
                f"  {terms.company} may use {', '.join(sorted(terms.fields))}",
                f"  for: {label(terms.purpose)}; until {until}; at most "
                f"{count(terms.max_uses, 'time')}.",
                f"  Signed by {grant.issuer}.",
                f"  Not withdrawn, as of the status list of {listed}."
                if listed is not None
                else "  Whether it was withdrawn was not checked.",
                "  What a signature does not prove:",
                *(f"  - {limit}" for limit in grant.limits_of_proof),
            ]
        ),
    )
