"""``pds company``: ask, collect, redeem, use, erase; and serve the company's DID document.

Long, because every command stands here with its options; what they say is in ``company_words``.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pds.cli import company_words as words
from pds.cli.exchange import parse_duration
from pds.cli.names import person as person_of
from pds.cli.output import Settings, count, emit_json, pass_settings
from pds.cli.witnesses import (
    changed_policy,
    is_change,
    out_option,
    show_evidence,
    show_policy,
    witness_options,
)

if TYPE_CHECKING:
    from pds.company.client import Company

_MAX_TOKEN = 4096
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
        from pds.cli.config import folder as configured

        folder = configured("company")
    if folder is None:
        raise click.UsageError("Say which company: pds company --data FOLDER, or PDS_COMPANY.")
    return folder


def _open() -> "Company":
    from pds.cli import process
    from pds.company.client import Company

    folder = _folder()
    process.harden()  # keys are in memory, and a person may be named in the arguments
    return Company.open(folder)


def _person(settings: Settings, opened: "Company", text: str | None) -> str | None:
    return None if text is None else person_of(settings, opened, text)


def _names(opened: "Company") -> words.Names:
    return {did: one.names for one in opened.people() for did in (one.did, *one.before)}


def _token(file: Path | None) -> str | None:
    """The registration token in a file; whatever else is in it is never repeated."""
    if file is None:
        return None
    try:
        with file.open("rb") as source:
            token = source.read(_MAX_TOKEN).decode("ascii").strip()
    except (OSError, ValueError):
        token = ""
    if not token.isprintable() or not token:
        raise click.UsageError("The token file holds no registration token.")
    return token


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
    """Make a company with its first signing key.

    The relay is asked whether it takes the company. One that wants a registration token has it
    in its folder, as registration-token.
    """
    from pds.company.client import Company

    away: list[Exception] = []
    made = Company.create(
        _folder(),
        did=did,
        name=name,
        address=address,
        contact=contact,
        data_protection_contact=data_protection_contact,
        relay=relay,
        relay_token=_token(relay_token_file),
        sandbox=sandbox,
        on_relay_away=away.append,
    )
    with made as opened:
        document = opened.did_document()
    settings.emit(
        {"did": did, "document": document, "relayChecked": not away},
        f"{name} is ready. Serve its DID document at its domain: pds company did > did.json",
    )
    if away:
        settings.say(
            "The relay cannot be reached, so whether it takes this company is not known.\n"
            "  Ask it again later: pds company relay"
        )


@company.command()
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The relay's registration token, from a file; it is kept.")  # fmt: skip
@pass_settings
def relay(settings: Settings, *, token_file: Path | None) -> None:
    """Ask the company's relay whether it takes this company, and give it a token.

    Requests that could not be published before are published.
    """
    with _open() as opened:
        registration = opened.check_relay(_token(token_file))
        failed = opened.publish_pending()
        url = opened.relay
    settings.emit(
        {"relay": url, "registration": registration, "problems": words.problems_json(failed)},
        f"{url} takes this company."
        + (" It wants no token." if token_file and registration == "open" else ""),
    )
    _end(settings, failed, frozenset(subject for subject, _ in failed))


def _end(settings: Settings, failed: list[tuple[str, str]], requests: frozenset[str]) -> None:
    """Say what went wrong, and end with 4 when all of it may pass by itself."""
    if failed:
        settings.say(words.problems_text(failed, requests))
        away = all(code in words.AWAY for _, code in failed)
        raise click.exceptions.Exit(4 if away else 1)


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
@click.option(
    "--dev-tls", is_flag=True, help="Use a throwaway CA and certificate, made in DATA/tls."
)
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

    People's vaults fetch it by https only: give --tls-cert and --tls-key, or put a proxy that has
    them in front. For development: --dev-tls, and give holders
    --dev-trust NAME=127.0.0.1:PORT,DATA/tls/ca.pem. What is in DATA/tls is used as long as it
    lasts.
    """
    from did.identifier import Did
    from did.time import utc_now
    from pds.company.client import Company
    from pds.company.site import create_app
    from pds.serve import ServeSettings
    from pds.serve import serve as run

    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together.")
    with Company.open(_folder()) as opened:
        name = Did.parse(opened.did).id.partition(":")[0].replace("%3A", ":")
    if dev_tls:
        from pds.company.tls import make_development_tls

        made = make_development_tls(_folder() / "tls", [name.partition(":")[0]], now=utc_now())
        tls_cert, tls_key = made.certificate, made.key

    def ready(actual: int) -> None:
        settings.say(f"{name} is served on {host}:{actual}")
        if tls_cert is None:
            settings.say(
                "  Plain HTTP: vaults fetch it by https only. Put a TLS proxy in front, or give "
                "--tls-cert and --tls-key (for development --dev-tls)."
            )
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
@witness_options
@pass_settings
def witnesses(settings: Settings, /, **changes: Any) -> None:
    """The witnesses that must have cosigned the logs of your holders' relays; show or change them.

    They are learnt from you alone. 'pds company collect' then says log.unwitnessed when a relay
    shows what they have not cosigned in time, and asks those itself whose URL you give.
    """
    with _open() as opened:
        policy = changed_policy(opened.witnesses, **changes)
        if is_change(changes):
            opened.set_witnesses(policy)
    show_policy(settings, policy)


@company.command()
@out_option
@pass_settings
def evidence(settings: Settings, *, out: Path | None) -> None:
    """What relays and holders did that does not fit, and the proof of a forked log."""
    with _open() as opened:
        found = [(one.at, one.code, one.detail) for one in opened.problems()]
    show_evidence(settings, found, known=words.PROBLEMS, out=out)


@company.command()
@click.argument("terms", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--valid-for", default="14d", show_default=True, metavar="14d",
              help="How long it can be answered.")  # fmt: skip
@click.option("--audience", help="Whom you mean, in your own words, e.g. a customer number.")
@pass_settings
def request(settings: Settings, *, terms: str, valid_for: str, audience: str | None) -> None:
    """Make a signed request from TERMS (a JSON file with its purposes) and print its link.

    Give the link to the person, and show the match code beside it. One link is for one person:
    only the first answer counts, so make a request for each. 'cancel' takes it back.
    docs/examples/terms.json shows what TERMS looks like.
    """
    from did.json import parse_object

    lasting = parse_duration(valid_for)
    raw = parse_object(_read(terms), max_bytes=_MAX_TERMS)
    if audience is not None:
        raw = raw | {"audience": audience}
    with _open() as opened:
        new = opened.request(raw, valid_for=lasting)
    settings.emit(
        {
            "id": new.id,
            "link": str(new.link),
            "matchCode": new.match_code,
            "published": new.published,
            "problem": new.problem,
            "warnings": list(new.warnings),
        },
        f"{new.link}\nMatch code {new.match_code}",
    )
    for warning in new.warnings:
        settings.say(f"Look again: {warning}")
    if new.warnings:
        settings.say(f"  To take the request back: pds company cancel {new.id}")
    if new.problem is not None:
        settings.say("Not at the relay yet; 'pds company collect' tries again:")
        _end(settings, [(new.id, new.problem)], frozenset({new.id}))


@company.command()
@click.argument("request_id", metavar="ID")
@pass_settings
def cancel(settings: Settings, *, request_id: str) -> None:
    """Take a request back that nobody has answered: its link leads nowhere any more.

    ID is the request's, or its first letters; see 'requests'.
    """
    with _open() as opened:
        gone = opened.cancel(request_id)
    settings.emit(
        {"cancelled": True, "goneAtRelay": gone},
        "Taken back: the link leads nowhere any more."
        if gone
        else "Taken back: it will not be published. The relay could not be asked about it.",
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
    """One round: publish, collect decisions and notices, erase what ended, attest.

    Run it regularly, for example every quarter of an hour by cron or a systemd timer: until then
    answers and withdrawals wait, and nothing that is due is erased. It ends with 4 when all that
    went wrong may pass by itself.
    """
    with _open() as opened:
        failed = opened.publish_pending()
        report = opened.collect()
        requests = frozenset(view.id for view in opened.requests())
    problems = list(
        dict.fromkeys([*failed, *((subject, code) for code, subject in report.problems)])
    )
    settings.emit(
        {
            "messages": report.messages,
            "decided": report.decided,
            "ended": report.ended,
            "updated": report.updated,
            "moved": report.moved,
            "resumed": report.resumed,
            "recovered": report.recovered,
            "erased": report.erased,
            "sent": report.push.sent,
            "waiting": [list(w) for w in report.push.waiting],
            "problems": words.problems_json(problems),
        },
        words.collected_text(report, nothing="" if problems else "Nothing new."),
    )
    _end(settings, problems, requests)


@company.command()
@click.argument("grant")
@click.option("--person", help="Whose, by a name or DID, when several granted the same.")
@pass_settings
def redeem(settings: Settings, *, grant: str, person: str | None) -> None:
    """Redeem a grant, by its id or its purpose's name in the request."""
    with _open() as opened:
        redeemed = opened.redeem(grant, person=_person(settings, opened, person))
    settings.emit(
        words.redeemed_json(redeemed) | {"receipt": redeemed.receipt},
        words.redeemed_text(redeemed),
    )


@company.command()
@click.argument("name")
@click.option("--person", help="Whose, by a name or DID, when several granted the same.")
@click.option("--status-list", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Save the newest status list too, for 'pds verify --status'.")  # fmt: skip
@pass_settings
def grant(settings: Settings, *, name: str, person: str | None, status_list: Path | None) -> None:
    """Print a signed grant, for any verifier: by its id or its purpose's name in the request.

    pds company grant delivery --status-list status.json > grant.json
    """
    with _open() as opened:
        person = _person(settings, opened, person)
        raw = opened.grant(name, person=person)
        newest = None
        if status_list is not None:
            newest = opened.status_list(name, person=person)
    if status_list is not None and newest is not None:
        status_list.write_bytes(newest)
        settings.say("The status list is saved.")
    emit_json(raw)


@company.command()
@pass_settings
def recover(settings: Settings) -> None:
    """Fetch answers that did not arrive; that costs no use."""
    with _open() as opened:
        found = opened.recover()
    settings.emit(
        [words.redeemed_json(one) for one in found],
        f"{count(len(found), 'answer')} recovered.",
    )


@company.command()
@click.argument("person")
@click.argument("purpose")
@pass_settings
def data(settings: Settings, *, person: str, purpose: str) -> None:
    """What may be used about PERSON for PURPOSE, now; refuses without a basis.

    PERSON is whom you meant in the request (--audience), a name, or the DID, as 'grants' shows
    them; a part will do. PURPOSE is its name in the request (delivery), its term in the Data
    Privacy Vocabulary (DeliveryOfGoods) or the term's IRI.
    """
    with _open() as opened:
        person = person_of(settings, opened, person)
        values = opened.register.data(person, opened.purpose(purpose, person=person))
    settings.emit(
        values,
        "\n".join(f"{path}: {words.value(v)}" for path, vs in values.items() for v in vs)
        or "There is a basis, but nothing was redeemed yet: pds company redeem",
    )


@company.command()
@click.argument("person", required=False)
@pass_settings
def held(settings: Settings, *, person: str | None) -> None:
    """Everything that is held, with basis and end: for an access request or an audit.

    With PERSON of one person, by a name, a part of it, or the DID.
    """
    with _open() as opened:
        rows = opened.register.held(_person(settings, opened, person))
        names = _names(opened)
    settings.emit(
        [words.held_json(row) for row in rows],
        words.held_text(rows, names) or "Nothing is held.",
    )


@company.command()
@click.option("--person", help="Only this person's: a name, a part of it, or the DID.")
@pass_settings
def grants(settings: Settings, *, person: str | None) -> None:
    """The grants given to this company, by whom, and where they stand."""
    with _open() as opened:
        views = opened.grants(person=_person(settings, opened, person))
        requests, names = opened.requests(), _names(opened)
    settings.emit(
        [words.grant_json(view, names) for view in views],
        "\n".join(words.grant_text(view, names) for view in views)
        or f"No grants yet; {count(len(requests), 'request')}.",
    )


@company.command()
@pass_settings
def requests(settings: Settings) -> None:
    """The requests made, with their match codes and answers."""
    with _open() as opened:
        views, names = opened.requests(), _names(opened)
    settings.emit(
        [words.request_json(view) for view in views],
        "\n".join(words.request_text(view, names) for view in views) or "No requests.",
    )


@company.command()
@pass_settings
def expire(settings: Settings) -> None:
    """Erase what may be kept no longer. 'collect' does it too."""
    with _open() as opened:
        report = opened.expire()
    problems = [(subject, code) for code, subject in report.problems]
    settings.emit(
        {"erased": report.erased, "problems": words.problems_json(problems)},
        "" if problems and not report.erased else f"Erased under {count(report.erased, 'grant')}.",
    )
    _end(settings, problems, frozenset())
