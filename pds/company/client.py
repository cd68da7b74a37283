"""A company: the verbs. Each is one call into a room of its own; long, because all stand here.

with Company.open(folder) as company:
    new = company.request(terms, valid_for=timedelta(days=14))
    …
    company.collect()
    company.redeem("delivery", person=holder)
    company.register.data(holder, "https://w3id.org/dpv#DeliveryOfGoods")
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from credentials.errors import StatusInvalid, StatusUnchecked
from did.json import JsonObject
from did.keys import SigningKey
from did.time import utc_now
from pds.company import (
    asking,
    cancelling,
    collecting,
    erasure,
    finding,
    identity,
    outbox,
    redeeming,
)
from pds.company.arrival import check_relay
from pds.company.asking import NewRequest
from pds.company.collecting import CollectReport
from pds.company.context import DATABASE, Context
from pds.company.erasure import ExpiryReport
from pds.company.errors import CompanyError
from pds.company.identity import GRACE
from pds.company.people import Person, find_people, people
from pds.company.redeeming import Redeemed, status_stale
from pds.company.register import Register
from pds.company.standing import fetch_status
from pds.company.store import Store
from pds.company.store.rows import Event, GrantRow, Problem
from pds.company.store.schema import APPLICATION_ID, MIGRATIONS
from pds.company.succession import SUPERSEDED
from pds.company.witnesses import policy, policy_of, set_policy
from pds.db import Connection, migrate, open_plain, transaction
from pds.log.policy import WitnessPolicy
from pds.mailbox import RelayClient, RelayUnreachable, Transport
from pds.messages.fields import Fields
from pds.messages.request import Controller, match_code
from pds.net import DevTrust
from pds.net import Transport as NetTransport
from pds.wire import parse_relay_url

Clock = Callable[[], datetime]
Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request as its company sees it. ``link`` is there until it was decided; ``state`` is
    ``pending`` (not at the relay yet), ``published``, ``decided`` or ``closed``."""

    id: str
    state: str
    created: datetime
    expires: datetime
    link: str | None = field(repr=False)
    match_code: str
    audience: str | None = field(repr=False)
    person: str | None
    granted: tuple[str, ...]
    refused: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant as its company sees it.

    ``state`` is ``live``, ``not yet``, ``expired``, ``withdrawn`` (ended by the holder, with any
    verb) or ``superseded`` (another stands in its place, under a new DID of the same person);
    ``seq`` the version last redeemed (0: none), and ``update_waiting`` says that there is a newer
    one. ``retained`` are paths kept on another basis, with the day until which.
    """

    id: str
    digest: str
    request: str
    purpose_id: str
    purpose: str
    basis: str
    person: str
    fields: frozenset[str]
    valid_from: datetime
    valid_until: datetime
    state: str
    end_kind: str | None
    seq: int
    update_waiting: bool
    erased: datetime | None
    attested: datetime | None
    retained: tuple[tuple[str, datetime], ...]


class Company:
    """A company with its folder open. Not for use from two threads at once; several processes may
    have it open, and take turns at what must not be done twice (``company.busy``)."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.register = Register(ctx)

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        did: str,
        name: str,
        address: str,
        contact: str,
        data_protection_contact: str,
        relay: str,
        sandbox: bool,
        dev_trust: Sequence[str] = (),
        relay_token: str | None = None,
        clock: Clock = utc_now,
        random: Random = os.urandom,
        transport: Transport | None = None,
        on_relay_away: Callable[[RelayUnreachable], None] | None = None,
    ) -> Self:
        """Make a company in a folder that has none, with a first signing key.

        ``did`` is the did:web of its own domain; ``contact`` and ``data_protection_contact`` are
        ``https:`` or ``mailto:`` addresses; ``relay`` the origin of the relay that it uses. With
        ``on_relay_away`` the relay is asked first whether it takes this company: one that does
        not is an error and nothing is made; one that is away is told to ``on_relay_away``.

        Raises ``CompanyError`` (``company.exists``, ``company.did``, ``relay.token``),
        ``MessageError``, ``WireError``, ``NetError`` for a line of ``dev_trust``; with
        ``on_relay_away`` also ``RelayError`` and ``RelayNonsense``.
        """
        for line in dev_trust:
            DevTrust.parse(line)
        settings = {
            "did": identity.check_did(did),
            "name": name,
            "address": address,
            "contact": contact,
            "data_protection_contact": data_protection_contact,
            "relay": parse_relay_url(relay),
            "sandbox": "1" if sandbox else "0",
            "dev_trust": "\n".join(dev_trust),
        }
        if relay_token is not None:
            settings["relay_token"] = relay_token
        Controller.parse(
            Fields(
                {
                    "id": did,
                    "name": name,
                    "address": address,
                    "contact": contact,
                    "dataProtectionContact": data_protection_contact,
                }
            )
        )
        if on_relay_away is not None and not (folder / DATABASE).exists():
            way = _way(settings["relay"], dev_trust) if transport is None else transport
            asked = RelayClient(settings["relay"], way, clock=clock, random=random)
            try:
                check_relay(asked, relay_token, random=random)
            except RelayUnreachable as error:
                on_relay_away(error)
            finally:
                if isinstance(way, NetTransport) and transport is None:
                    way.close()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        conn = open_plain(folder / DATABASE)
        try:
            migrate(conn, MIGRATIONS, application_id=APPLICATION_ID)
            store, key = Store(conn), SigningKey.generate(random)
            with transaction(conn):
                if store.setting("did") is not None:
                    raise CompanyError(
                        "there is a company in this folder already", code="company.exists"
                    )
                for setting, value in settings.items():
                    store.set_setting(setting, value)
                store.add_key(
                    key.verify_key.multikey,
                    key.unsafe_export_seed(),
                    clock().replace(microsecond=0),
                )
            return cls(_context(conn, folder, clock, random, transport))
        except BaseException:
            conn.close()
            raise

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        clock: Clock = utc_now,
        random: Random = os.urandom,
        transport: Transport | None = None,
    ) -> Self:
        """Open a company that was made before. Raises ``CompanyError`` (``company.missing``)."""
        if not (folder / DATABASE).exists():
            raise _missing()
        conn = open_plain(folder / DATABASE)
        try:
            migrate(conn, MIGRATIONS, application_id=APPLICATION_ID)
            if Store(conn).setting("did") is None:
                raise _missing()
            return cls(_context(conn, folder, clock, random, transport))
        except BaseException:
            conn.close()
            raise

    def close(self) -> None:
        if isinstance(self._ctx.transport, NetTransport):
            self._ctx.transport.close()
        self._ctx.conn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    # identity

    @property
    def did(self) -> str:
        return self._ctx.did

    def did_document(self) -> JsonObject:
        """The document to be served at the did:web's address; see ``site``."""
        return identity.document(self._ctx.did, self._ctx.store.signing_keys())

    def rotate_key(self, *, compromised: bool = False) -> JsonObject:
        """Sign with a new key from now on; returns the new document, to be published at once.

        The old key counts for 30 days more, for what is on its way; when it was ``compromised``,
        for no moment more: then open requests must be made anew. Its secret half is destroyed.
        """
        ctx, new = self._ctx, SigningKey.generate(self._ctx.random)
        now = ctx.now()
        with ctx.alone(), ctx.transaction():
            for row in ctx.store.signing_keys():
                if row.seed is not None:
                    ctx.store.retire_key(
                        row.n,
                        expires=None if compromised else now + GRACE,
                        revoked=now if compromised else None,
                    )
                elif compromised and row.revoked is None and (row.expires or now) > now:
                    # Who had the newest may have had those before it.
                    ctx.store.retire_key(row.n, expires=row.expires, revoked=now)
            ctx.store.add_key(new.verify_key.multikey, new.unsafe_export_seed(), now)
            outbox.sign_again(ctx)
            ctx.event("key rotated", ctx.did, {"compromised": compromised})
        ctx.store.compact()
        return self.did_document()

    # the exchange

    def request(self, terms: JsonObject, *, valid_for: timedelta) -> NewRequest:
        """Ask: see ``asking.ask``."""
        return asking.ask(self._ctx, terms, valid_for=valid_for)

    def publish_pending(self) -> list[tuple[str, str]]:
        """Publish requests that could not be published before; (id, code) of those that fail."""
        return asking.publish_pending(self._ctx)

    def cancel(self, request: str) -> bool:
        """Take a request back that nobody answered: see ``cancelling.cancel``. ``request`` is its
        id, or the beginning of it. Raises also ``company.not_found``, ``company.ambiguous``."""
        with self._ctx.alone():
            return cancelling.cancel(self._ctx, finding.find_request(self._ctx, request))

    @property
    def relay(self) -> str:
        return self._ctx.relay

    def check_relay(self, token: str | None = None) -> str:
        """Ask the relay whether it takes this company, and keep ``token`` when it does.

        Returns the relay's registration, ``open`` or ``token``; raises as ``create`` does, and
        ``RelayUnreachable``.
        """
        ctx = self._ctx
        used = ctx.store.setting("relay_token") if token is None else token
        registration = check_relay(ctx.client(ctx.relay), used, random=ctx.random)
        if token is not None:
            with ctx.transaction():
                ctx.store.set_setting("relay_token", token)
        return registration

    def collect(self) -> CollectReport:
        """One round: see ``collecting.collect``."""
        with self._ctx.alone():
            return collecting.collect(self._ctx)

    def redeem(self, grant: str, *, person: str | None = None) -> Redeemed:
        """Redeem a grant, named by its id, its digest or its purpose's id in the request.

        Raises ``CompanyError`` (``company.not_found``, ``company.ambiguous``) and what
        ``redeeming.redeem`` raises.
        """
        with self._ctx.alone():
            return redeeming.redeem(self._ctx, finding.find_grant(self._ctx, grant, person))

    def recover(self) -> tuple[Redeemed, ...]:
        """Fetch the answers that did not arrive, uncounted. Raises as ``redeem`` does."""
        with self._ctx.alone():
            found = [
                redeeming.recover_one(self._ctx, unfinished)
                for unfinished in self._ctx.store.redemptions(state="sent")
            ]
        return tuple(one for one in found if one is not None)

    def expire(self) -> ExpiryReport:
        """End what has run its time and erase what may be kept no longer; offline."""
        with self._ctx.alone():
            return erasure.expire(self._ctx)

    # what there is

    def requests(self) -> list[RequestView]:
        return [
            RequestView(
                id=row.id,
                state=row.state,
                created=row.created,
                expires=row.expires,
                link=row.link,
                match_code=match_code(row.digest),
                audience=None if (meant := row.raw.get("audience")) is None else str(meant),
                person=row.person,
                granted=tuple(g.purpose_id for g in self._ctx.store.grants(request=row.id)),
                refused=tuple(self._ctx.store.denials(row.id)),
                problem=row.problem,
            )
            for row in self._ctx.store.requests()
        ]

    def people(self, text: str | None = None) -> list[Person]:
        """Everybody who answered a request, or those whom a text may mean: a customer's number, a
        name, a DID, or a part of one; see ``people.find_people``."""
        return people(self._ctx) if text is None else find_people(self._ctx, text)

    def grants(self, *, person: str | None = None) -> list[GrantView]:
        return [self._view(row) for row in self._ctx.store.grants(person=person)]

    def grant(self, name: str, *, person: str | None = None) -> JsonObject:
        """The signed grant itself, for any verifier; named as for ``redeem``."""
        return finding.find_grant(self._ctx, name, person).raw

    def status_list(self, name: str, *, person: str | None = None) -> bytes:
        """The newest status list of a grant, from the holder's relay: what says whether it was
        withdrawn. Raises as ``redeem`` for the name, and ``NoBasis`` when it cannot be had."""
        grant = finding.find_grant(self._ctx, name, person)
        try:
            return fetch_status(self._ctx, grant, now=self._ctx.now()).raw
        except (StatusUnchecked, StatusInvalid) as error:
            raise status_stale() from error

    def purpose(self, name: str, *, person: str | None = None) -> str:
        """The IRI of a purpose: see ``finding.purpose_iri``."""
        return finding.purpose_iri(self._ctx, name, person)

    @property
    def witnesses(self) -> WitnessPolicy | None:
        """Whom the company believes to watch the logs of its holders' relays."""
        return policy(self._ctx)

    def set_witnesses(self, chosen: WitnessPolicy | None) -> None:
        """Believe these witnesses; ``collect`` wants their cosignatures from the next opening on,
        and asks them where they can be asked."""
        set_policy(self._ctx, chosen)

    def problems(self) -> list[Problem]:
        return self._ctx.store.problems()

    def events(self) -> list[Event]:
        return self._ctx.store.events()

    def attestations(self, grant: str) -> list[JsonObject]:
        """What was attested about a grant, oldest first."""
        return [
            body
            for _, body, _ in self._ctx.store.attestations(
                finding.find_grant(self._ctx, grant, None).digest
            )
        ]

    def _view(self, row: GrantRow) -> GrantView:
        subject = row.raw["credentialSubject"]
        fields = subject.get("fields") if isinstance(subject, dict) else None
        sent = [at for _, _, at in self._ctx.store.attestations(row.digest) if at is not None]
        return GrantView(
            id=row.id,
            digest=row.digest,
            request=row.request,
            purpose_id=row.purpose_id,
            purpose=row.purpose,
            basis=self._ctx.purpose_of(row).basis,
            person=row.person,
            fields=frozenset(str(path) for path in fields)
            if isinstance(fields, list)
            else frozenset(),
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            state=self._state(row),
            end_kind=row.end_kind,
            seq=row.seq,
            update_waiting=row.ended is None and row.announced > row.seq,
            erased=row.erased,
            attested=sent[0] if sent else None,
            retained=tuple((r.path, r.until) for r in self._ctx.store.retentions(row.digest)),
        )

    def _state(self, row: GrantRow) -> str:
        now = self._ctx.now()
        if row.end_kind == SUPERSEDED:
            return SUPERSEDED
        if row.ended is not None and row.end_kind != "expired":
            return "withdrawn"
        if row.ended is not None or now >= row.valid_until:
            return "expired"
        return "live" if now >= row.valid_from else "not yet"


def _way(
    relay: str | None, dev_trust: Sequence[str], witnesses: WitnessPolicy | None = None
) -> NetTransport:
    named = [] if witnesses is None else [one.url for one in witnesses.witnesses if one.url]
    return NetTransport(
        trusted_origins=named if relay is None else [relay, *named],
        dev_trust=tuple(DevTrust.parse(line) for line in dev_trust),
    )


def _context(
    conn: Connection, folder: Path, clock: Clock, random: Random, transport: Transport | None
) -> Context:
    store = Store(conn)
    if transport is None:
        transport = _way(
            store.setting("relay"),
            (store.setting("dev_trust") or "").splitlines(),
            policy_of(store.setting("witnesses")),
        )
    return Context(conn, folder, transport, clock, random)


def _missing() -> CompanyError:
    return CompanyError("there is no company in this folder", code="company.missing")
