"""``pds company``: ask, collect, redeem, use, erase; and serve the company's DID document."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pds.cli.exchange import parse_duration
from pds.cli.output import Settings, emit_json, pass_settings

if TYPE_CHECKING:
    from pds.company.client import Company, GrantView
    from pds.company.redeeming import Redeemed

_AWAY = frozenset({"relay.unreachable", "relay.busy", "net.unreachable", "net.timeout"})
_MAX_TERMS = 256 * 1024


@click.group()
@click.option(
    "--data",
    "folder",
    envvar="PDS_COMPANY",
    type=click.Path(file_okay=False, path_type=Path),
    help="The company's folder (or PDS_COMPANY).",
)
@click.pass_context
def company(ctx: click.Context, *, folder: Path | None) -> None:
    """The company's side: ask, collect, redeem, use under a basis, erase and attest."""
    ctx.meta["pds.company"] = folder


def _folder() -> Path:
    folder: Path | None = click.get_current_context().meta["pds.company"]
    if folder is None:
        raise click.UsageError("Say which company: pds company --data FOLDER, or PDS_COMPANY.")
    return folder


def _open() -> "Company":
    from pds.company.client import Company

    return Company.open(_folder())


@company.command()
@click.option("--did", required=True, help="did:web of your own domain.")
@click.option("--name", required=True, help="The company's name, as people will see it.")
@click.option("--address", required=True, help="Its postal address.")
@click.option("--contact", required=True, help="An https: or mailto: address.")
@click.option("--data-protection-contact", required=True, help="An https: or mailto: address.")
@click.option("--relay", required=True, help="The relay for your requests and mailboxes.")
@click.option("--relay-token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The relay's registration token, from a file.")  # fmt: skip
@click.option("--sandbox", is_flag=True, help="Ask sandbox vaults only.")
@pass_settings
def init(
    settings: Settings,
    *,
    did: str,
    name: str,
    address: str,
    contact: str,
    data_protection_contact: str,
    relay: str,
    relay_token_file: Path | None,
    sandbox: bool,
) -> None:
    """Make a company with its first signing key."""
    from pds.company.client import Company

    made = Company.create(
        _folder(),
        did=did,
        name=name,
        address=address,
        contact=contact,
        data_protection_contact=data_protection_contact,
        relay=relay,
        relay_token=None if relay_token_file is None else relay_token_file.read_text().strip(),
        sandbox=sandbox,
    )
    with made as opened:
        document = opened.did_document()
    settings.emit(
        {"did": did, "document": document},
        f"{name} is ready. Serve its DID document at its domain: pds company did > did.json",
    )


@company.command()
@click.option("--rotate", is_flag=True, help="Sign with a new key from now on.")
@click.option("--compromised", is_flag=True, help="With --rotate: revoke the old key at once.")
def did(*, rotate: bool, compromised: bool) -> None:
    """Print the DID document, to be served as /.well-known/did.json."""
    if compromised and not rotate:
        raise click.UsageError("--compromised goes with --rotate.")
    with _open() as opened:
        document = opened.rotate_key(compromised=compromised) if rotate else opened.did_document()
    emit_json(document)


@company.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65_535), required=True, help="0: any.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Certificate chain, PEM.")  # fmt: skip
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Its private key, PEM.")  # fmt: skip
@click.option("--dev-tls", is_flag=True, help="Make a throwaway CA and certificate in DATA/tls.")
@pass_settings
def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    dev_tls: bool,
) -> None:
    """Serve the DID document until SIGTERM or Ctrl-C.

    For development: --dev-tls, and give holders --dev-trust NAME=127.0.0.1:PORT,DATA/tls/ca.pem.
    """
    from did.identifier import Did
    from did.time import utc_now
    from pds.company.site import create_app
    from pds.serve import ServeSettings
    from pds.serve import serve as run

    with _open() as opened:
        name = Did.parse(opened.did).id.partition(":")[0].replace("%3A", ":")
    if dev_tls:
        from pds.company.tls import make_development_tls

        made = make_development_tls(_folder() / "tls", [name.partition(":")[0]], now=utc_now())
        tls_cert, tls_key = made.certificate, made.key

    def ready(actual: int) -> None:
        settings.say(f"{name} is served on {host}:{actual}")
        if settings.as_json:
            click.echo(json.dumps({"listening": actual}))
            sys.stdout.flush()

    run(
        create_app(_folder()),
        ServeSettings(
            host=host,
            port=port,
            threads=2,
            tls_cert=tls_cert,
            tls_key=tls_key,
            allowed_hosts=frozenset({name}),
        ),
        on_ready=ready,
    )


@company.command()
@click.argument("terms", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--valid-for", default="14d", show_default=True, metavar="14d",
              help="How long it can be answered.")  # fmt: skip
@click.option("--audience", help="Whom you mean, in your own words, e.g. a customer number.")
@pass_settings
def request(settings: Settings, *, terms: str, valid_for: str, audience: str | None) -> None:
    """Make a signed request from TERMS (a JSON file with its purposes) and print its link.

    Give the link to the person, and show the match code beside it.
    """
    from did.json import parse_object

    raw = parse_object(_read(terms), max_bytes=_MAX_TERMS)
    if audience is not None:
        raw = raw | {"audience": audience}
    with _open() as opened:
        new = opened.request(raw, valid_for=parse_duration(valid_for))
    settings.emit(
        {
            "id": new.id,
            "link": str(new.link),
            "matchCode": new.match_code,
            "published": new.published,
        },
        f"{new.link}\nMatch code {new.match_code}"
        + ("" if new.published else "\nNot at the relay yet: run 'pds company collect' later."),
    )


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(_MAX_TERMS + 1)
    try:
        with Path(file).open("rb") as source:
            return source.read(_MAX_TERMS + 1)
    except OSError:
        raise click.UsageError("The file cannot be read.") from None


@company.command()
@pass_settings
def collect(settings: Settings) -> None:
    """One round: publish, collect decisions and notices, erase what ended, attest."""
    with _open() as opened:
        failed = opened.publish_pending()
        report = opened.collect()
    problems = list(
        dict.fromkeys([*failed, *((subject, code) for code, subject in report.problems)])
    )
    settings.emit(
        {
            "messages": report.messages,
            "decided": report.decided,
            "ended": report.ended,
            "updated": report.updated,
            "recovered": report.recovered,
            "erased": report.erased,
            "sent": report.push.sent,
            "waiting": [list(w) for w in report.push.waiting],
            "problems": [{"code": code, "subject": subject} for subject, code in problems],
        },
        f"{report.messages} messages: {len(report.decided)} decisions, {len(report.ended)} ended, "
        f"{len(report.updated)} updated; {report.erased} values erased."
        + "".join(f"\n  Problem: {code} ({subject})" for subject, code in problems),
    )
    if problems:
        away = all(code in _AWAY for _, code in problems)
        raise click.exceptions.Exit(4 if away else 1)


@company.command()
@click.argument("grant")
@click.option("--person", help="The person's DID, when several granted the same purpose.")
@pass_settings
def redeem(settings: Settings, *, grant: str, person: str | None) -> None:
    """Redeem a grant, by its id or its purpose's name in the request."""
    with _open() as opened:
        redeemed = opened.redeem(grant, person=person)
    _show_redeemed(settings, redeemed)


def _redeemed_json(redeemed: "Redeemed") -> dict[str, Any]:
    return {
        "grant": redeemed.grant,
        "seq": redeemed.seq,
        "ordinal": redeemed.ordinal,
        "recovered": redeemed.recovered,
        "items": [item.to_json() for item in redeemed.items],
    }


def _show_redeemed(settings: Settings, redeemed: "Redeemed") -> None:
    settings.emit(
        _redeemed_json(redeemed) | {"receipt": redeemed.receipt},
        f"Version {redeemed.seq}, {len(redeemed.items)} values"
        + (" (an answer that was lost; no use counted)" if redeemed.recovered else "")
        + "".join(f"\n  {item.path}: {_value(item.value)}" for item in redeemed.items),
    )


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@company.command()
@pass_settings
def recover(settings: Settings) -> None:
    """Fetch answers that did not arrive; that costs no use."""
    with _open() as opened:
        found = opened.recover()
    settings.emit([_redeemed_json(one) for one in found], f"{len(found)} answers recovered.")


@company.command()
@click.argument("person")
@click.argument("purpose")
@pass_settings
def data(settings: Settings, *, person: str, purpose: str) -> None:
    """What may be used about PERSON (a DID) for PURPOSE (a DPV IRI); refuses without a basis."""
    with _open() as opened:
        values = opened.register.data(person, purpose)
    settings.emit(
        values, "\n".join(f"{path}: {_value(v)}" for path, vs in values.items() for v in vs)
    )


@company.command()
@click.argument("person", required=False)
@pass_settings
def held(settings: Settings, *, person: str | None) -> None:
    """Everything that is held, with basis and end: for an access request or an audit."""
    from did.time import format_time

    with _open() as opened:
        rows = opened.register.held(person)
    settings.emit(
        [
            {
                "person": row.person,
                "path": row.path,
                "value": row.value,
                "basis": row.basis,
                "purpose": row.purpose,
                "since": format_time(row.since),
                "until": format_time(row.until),
                "grant": row.grant,
                "usable": row.usable,
            }
            for row in rows
        ],
        "\n".join(
            f"{row.path}: {_value(row.value)}\n  {row.basis.rsplit('#', 1)[-1]}, "
            f"until {format_time(row.until)}"
            for row in rows
        )
        or "Nothing is held.",
    )


@company.command()
@click.option("--person", help="Only this person's.")
@pass_settings
def grants(settings: Settings, *, person: str | None) -> None:
    """The grants given to this company, and where they stand."""
    with _open() as opened:
        views = opened.grants(person=person)
        requests = {view.id: view for view in opened.requests()}
    settings.emit(
        [_grant_json(view) for view in views],
        "\n".join(
            f"{view.purpose_id}: {view.state}, {', '.join(sorted(view.fields))}\n  {view.id}"
            for view in views
        )
        or f"No grants yet; {len(requests)} requests.",
    )


def _grant_json(view: "GrantView") -> dict[str, Any]:
    from did.time import format_time

    return {
        "id": view.id,
        "digest": view.digest,
        "request": view.request,
        "purposeId": view.purpose_id,
        "purpose": view.purpose,
        "basis": view.basis,
        "person": view.person,
        "fields": sorted(view.fields),
        "validFrom": format_time(view.valid_from),
        "validUntil": format_time(view.valid_until),
        "state": view.state,
        "seq": view.seq,
        "updateWaiting": view.update_waiting,
        "erased": None if view.erased is None else format_time(view.erased),
        "attested": None if view.attested is None else format_time(view.attested),
        "retained": [{"path": path, "until": format_time(until)} for path, until in view.retained],
    }


@company.command()
@pass_settings
def requests(settings: Settings) -> None:
    """The requests made, with their match codes and answers."""
    with _open() as opened:
        views = opened.requests()
    settings.emit(
        [
            {
                "id": view.id,
                "state": view.state,
                "matchCode": view.match_code,
                "link": view.link,
                "person": view.person,
                "granted": list(view.granted),
                "refused": list(view.refused),
                "problem": view.problem,
            }
            for view in views
        ],
        "\n".join(
            f"{view.id}  {view.state}  {view.match_code}  granted: {', '.join(view.granted) or '-'}"
            f"  refused: {', '.join(view.refused) or '-'}"
            for view in views
        )
        or "No requests.",
    )


@company.command()
@pass_settings
def expire(settings: Settings) -> None:
    """Erase what may be kept no longer. 'collect' does it too."""
    with _open() as opened:
        report = opened.expire()
    settings.emit({"erased": report.erased}, f"{report.erased} values erased.")
