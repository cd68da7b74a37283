"""One round with the world: send what waits, collect answers, and check what the relay did.

Everything that the relay shows is held against what this vault staged; what does not fit is kept
as evidence and named, and the round goes on.
"""

from collections.abc import Callable
from functools import partial

from credentials.errors import CredentialError
from credentials.status import BitString, verify_status_list
from did.errors import DidError
from did.keys import VerifyKey
from pds.errors import PdsError
from pds.log.errors import LogMisbehaved
from pds.log.evidence import evidence_of
from pds.vault.context import Context, HomeRelay
from pds.vault.errors import PackageTooLarge
from pds.vault.hosting import is_shown
from pds.vault.inbox import collect
from pds.vault.logwatch import LogWatch
from pds.vault.outbox import push
from pds.vault.relaykeys import keys_of
from pds.vault.report import SyncReport, report_evidence
from pds.vault.staging import renew_status_lists, restage, status_url
from pds.vault.store.identities import StoredIdentity
from pds.vault.store.rows import Relationship
from pds.vault.succession import advance
from pds.vault.watch import PackageWatch
from pds.vault.witnesses import hear_witnesses


def sync(ctx: Context) -> SyncReport:
    """One round. Raises only when nothing can be done at all: no relay chosen, the relay away,
    its key changed, the clock wrong. One thing that fails never holds back the others."""
    report = SyncReport()
    ctx.home()
    home = ctx.meet_relay()
    if home.log_origin != ctx.setting("log_origin"):
        _take_new_log(ctx, home, report)
    log = LogWatch(ctx, home)
    _checked(ctx, report, home.url, log.advance)
    _checked(ctx, report, home.url, partial(hear_witnesses, ctx, home, log, report))
    _checked(ctx, report, home.url, partial(_go_on, ctx, report))
    unmade = {job.relationship for job in ctx.exchange.jobs() if job.kind == "mailbox"}
    for relationship in ctx.exchange.relationships():
        if relationship.index not in unmade:
            _checked(ctx, report, relationship.company, partial(collect, ctx, relationship, report))
        for grant in ctx.exchange.grants(relationship.index):
            watch = PackageWatch(ctx, home, relationship, grant, report, log)
            _checked(ctx, report, grant.package, watch.read)
        _checked(
            ctx,
            report,
            relationship.company,
            partial(_look_at_list, ctx, relationship, report),
        )
    for identity in ctx.identities.all():
        if identity.relay is not None and not identity.waits:
            look = partial(_look_at_identity, ctx, identity, report)
            _checked(ctx, report, identity.did, look)
    suspended = ctx.exchange.setting("restage_all") == "1"
    report.renewed = renew_status_lists(ctx, everything=suspended)  # the lists go first
    try:
        report.restaged = restage(ctx, everything=suspended)
    except PackageTooLarge as error:
        report.restaged = error.queued
        report.problems += [(error.code, package) for package in error.packages]
    if suspended:
        with ctx.transaction():
            ctx.identities.publish_again()
            ctx.exchange.set_setting("restage_all", "0")
    report.push = push(ctx)
    report.problems += [(code, kind) for kind, code in report.push.dropped]
    _checked(ctx, report, home.url, log.check_kept)
    return report


def _go_on(ctx: Context, report: SyncReport) -> None:
    advance(ctx, report)


def _take_new_log(ctx: Context, home: HomeRelay, report: SyncReport) -> None:
    """The relay began a new log, as one that came back from a backup does: its packages wait for
    us. A relay that has something to hide could say the same, so it is shown and kept."""
    before = ctx.setting("log_origin")
    with ctx.transaction():
        ctx.exchange.set_setting("log_origin", home.log_origin)
        ctx.exchange.set_setting("restage_all", "1")
    report_evidence(
        ctx,
        report,
        "relay.new_log",
        home.url,
        {"before": before, "now": home.log_origin, "last": ctx.exchange.seen_checkpoint(before)},
    )


def _checked(ctx: Context, report: SyncReport, subject: str, act: Callable[[], None]) -> None:
    """Do one part of the round; what fails is named and the round goes on. A log that shows two
    histories is kept as evidence."""
    try:
        act()
    except LogMisbehaved as error:
        key = VerifyKey.from_multikey(ctx.setting("log_key"))
        origin = error.new_note.partition("\n")[0]
        keys = keys_of(ctx.exchange, origin, key)
        detail = evidence_of(error, origin=origin, key=keys).to_json()
        if any(kept == detail for _, code, kept in ctx.exchange.evidence() if code == error.code):
            report.problems.append((error.code, subject))  # of the round before
        else:
            report_evidence(ctx, report, error.code, subject, detail)
    except (PdsError, DidError, CredentialError) as error:
        report.problems.append((error.code, subject))


def _look_at_identity(ctx: Context, identity: StoredIdentity, report: SyncReport) -> None:
    """Fetch our public identity as a stranger would: the keys of today must show."""
    if ctx.exchange.setting("restage_all") != "1" and not is_shown(ctx, identity):
        report_evidence(ctx, report, "relay.old_identity", identity.did, {})


def _look_at_list(ctx: Context, relationship: Relationship, report: SyncReport) -> None:
    """Fetch our own status list as a stranger would: what was revoked must show."""
    if any(job.kind == "status" for job in ctx.exchange.jobs()):
        return  # a newer one is on its way
    url = status_url(ctx.setting("relay"), ctx.keys(relationship).status_id)
    raw, _ = ctx.client(ctx.setting("relay")).status(url)
    shown = verify_status_list(
        raw, now=ctx.now(), expected_issuer=relationship.did, expected_url=url
    )
    mine = BitString.decode(relationship.status_bits)
    if shown.sequence < relationship.status_sequence or not shown.bits.covers(mine):
        report_evidence(
            ctx,
            report,
            "relay.old_list",
            relationship.company,
            {"shown": shown.sequence, "published": relationship.status_sequence},
        )
