"""The holder's public identity: a did:webvh, whose keys change while its name stays.

A relationship has a DID that only one company knows. This is the other kind: for those who want
to be known by one name, to everybody and for long. Every version of it has keys of its own, all
derived from the root; each entry of its log announces the hash of the key that signs the next one
(pre-rotation), so whoever copies the keys of today can sign as the holder until the next version,
and cannot take the name away.

It is hosted by the vault's relay or by any web server. What the relay is to have is not queued:
an identity *waits* until the relay has the log as it is here (see ``outbox``).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn
from urllib.parse import urlsplit

from credentials.proof import sign_object
from credentials.webvh import PROOFS
from did.errors import DidSyntaxError
from did.json import Json, JsonObject
from did.methods import webvh
from did.methods.webvh import Log
from pds.vault.context import SKEW, Context
from pds.vault.derive import IdentityKeys
from pds.vault.errors import ClockWrong, IdentityError
from pds.vault.hosting import adopt, look, own_log
from pds.vault.store.identities import StoredIdentity

_CONTEXT: tuple[str, ...] = (
    "https://www.w3.org/ns/did/v1",
    "https://w3id.org/security/multikey/v1",
)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A public identity and where it stands. ``key`` is the verification method that signs now;
    ``relay`` is None for one that a web server of the holder's own hosts."""

    did: str
    url: str
    relay: str | None
    version: int
    created: datetime
    updated: datetime
    key: str | None
    deactivated: bool
    waits: bool
    unchecked: bool

    @classmethod
    def of(cls, ctx: Context, row: StoredIdentity) -> "Identity":
        log = own_log(row)
        over = log.last.parameters.deactivated
        return cls(
            did=row.did,
            url=webvh.url_of(log.did),
            relay=row.relay,
            version=log.last.number,
            created=log.versions[0].time,
            updated=log.last.time,
            key=None if over else _method(row.did, _keys(ctx, row, log.last.number)),
            deactivated=over,
            waits=row.waits,
            unchecked=row.unchecked,
        )


class Identities:
    """What a holder can do with public identities; at most one of them is not deactivated."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def all(self) -> list[Identity]:
        """Every identity that this vault has had, the oldest first."""
        return [Identity.of(self._ctx, row) for row in self._ctx.identities.all()]

    def current(self) -> Identity:
        """The one in use, or the last that was. Raises ``IdentityError`` (``identity.none``)."""
        return Identity.of(self._ctx, self._last())

    def log(self) -> bytes:
        """Its whole log: the ``did.jsonl`` for a web server. Raises as ``current``."""
        return self._last().log

    def create(self, *, folder: str | None = None) -> Identity:
        """Begin an identity at the vault's relay, or at a web server of one's own: ``folder`` is
        the https address of the folder in which its ``did.jsonl`` will lie.

        It can be resolved once it is published: by ``Vault.push``, or by who runs that server.
        Raises ``IdentityError`` (``identity.exists``, ``identity.place``), ``VaultError``
        (``vault.no_relay``, ``vault.restoring``) and ``ClockWrong``.
        """
        ctx = self._ctx
        ctx.ready()
        relay = ctx.home().url if folder is None else None
        ctx.before_signing()
        with ctx.transaction():
            rows = ctx.identities.all()
            if rows and not own_log(rows[-1]).last.parameters.deactivated:
                raise IdentityError(
                    "this vault has an identity already",
                    code="identity.exists",
                    hint="See: pds identity show. A new one can begin when it is deactivated.",
                )
            n = rows[-1].n + 1 if rows else 0
            if relay is None:
                name = _name_in(folder or "")
            else:
                name = _name_at(relay, ctx.identity_place(ctx.generation, n).id)
            log = webvh.create(
                _document(name, ctx.identity_keys(ctx.generation, n, 1)),
                key=ctx.identity_keys(ctx.generation, n, 1).update,
                proofs=PROOFS,
                now=ctx.signing_time(),
                # A host may cease. That the name may move can be said now, and never later.
                parameters=_announced(ctx, ctx.generation, n, 1) | {"portable": True},
            )
            did = str(log.did)
            ctx.identities.add(n, generation=ctx.generation, did=did, relay=relay, log=log.raw)
            ctx.log("identity created", did, {"version": 1})
        return self.current()

    def rotate(self) -> Identity:
        """Replace all keys by new ones; once that is published, no proof by the old ones holds.

        Raises ``IdentityError`` (``identity.none``, ``identity.deactivated``,
        ``identity.unchecked``), ``VaultError`` (``vault.restoring``) and ``ClockWrong``.
        """
        return self._go_on("identity rotated")

    def deactivate(self) -> Identity:
        """Write the last entry, which has no keys: nothing is signed any more, ever. The log stays
        where it is and shows which keys there were. Raises as ``rotate``."""
        return self._go_on("identity deactivated", end=True)

    def sign(self, document: JsonObject) -> JsonObject:
        """A copy of a document with a proof by the identity's key of now (``assertionMethod``).

        Raises ``IdentityError`` (``identity.none``, ``identity.deactivated``), ``VaultError``,
        ``ClockWrong``, and ``ProofInvalid`` (``proof.present``).
        """
        ctx = self._ctx
        ctx.ready()
        ctx.before_signing()
        with ctx.transaction():
            row = self._last()
            keys = _keys(ctx, row, _active(row).last.number)
            signed = sign_object(
                document,
                keys.signing,
                created=ctx.signing_time(),
                verification_method=_method(row.did, keys),
            )
            ctx.log("identity signed", row.did)
        return signed

    def recover(self, published: bytes) -> Identity:
        """Go on from a log as it was published: for a restored vault whose identity lies at a web
        server that it cannot reach. Raises ``IdentityError`` (``identity.foreign``)."""
        adopt(self._ctx, self._last(), published)
        return self.current()

    def _go_on(self, kind: str, *, end: bool = False) -> Identity:
        """One entry more, in which the key that the last one announced takes over."""
        ctx = self._ctx
        ctx.ready()
        ctx.before_signing()
        if self._last().unchecked:
            look(ctx, self._last())
        with ctx.transaction():
            row = self._last()
            log = _active(row)
            version = log.last.number + 1
            keys = _keys(ctx, row, version)
            # Two versions cannot bear the same second.
            now = max(ctx.signing_time(), log.last.time + _SECOND)
            if now > ctx.now() + SKEW:
                raise ClockWrong(
                    "this machine's clock is behind the last version of the identity",
                    code="vault.clock_back",
                    hint="Set the clock right, then try again. Nothing was signed.",
                )
            if end:
                bare: JsonObject = {"@context": list(_CONTEXT), "id": row.did}
                log = webvh.deactivate(log, key=keys.update, proofs=PROOFS, now=now, document=bare)
            else:
                log = webvh.update(
                    log,
                    key=keys.update,
                    proofs=PROOFS,
                    now=now,
                    document=_document(row.did, keys),
                    parameters=_announced(ctx, row.generation, row.n, version),
                )
            ctx.identities.set_log(row.n, log.raw, waits=row.relay is not None)
            ctx.log(kind, row.did, {"version": version})
        return self.current()

    def _last(self) -> StoredIdentity:
        rows = self._ctx.identities.all()
        if not rows:
            raise IdentityError(
                "this vault has no public identity",
                code="identity.none",
                hint="Begin one: pds identity create",
            )
        return rows[-1]


def _active(row: StoredIdentity) -> Log:
    log = own_log(row)
    if log.last.parameters.deactivated:
        raise IdentityError(
            "the identity is deactivated, and stays so",
            code="identity.deactivated",
            hint="Begin another one: pds identity create",
        )
    return log


def _keys(ctx: Context, row: StoredIdentity, version: int) -> IdentityKeys:
    return ctx.identity_keys(row.generation, row.n, version)


def _method(did: str, keys: IdentityKeys) -> str:
    return f"{did}#{keys.signing.verify_key.multikey}"


def _announced(ctx: Context, generation: int, n: int, version: int) -> JsonObject:
    """The key that signs this version, and the hash of the one that signs the next."""
    now, then = (
        ctx.identity_keys(generation, n, one).update.verify_key.multikey
        for one in (version, version + 1)
    )
    return {"updateKeys": [now], "nextKeyHashes": [webvh.key_hash(then)]}


def _document(did: str, keys: IdentityKeys) -> JsonObject:
    """The DID document (Controlled Identifiers 1.0 §2): one key that signs, one to agree with."""
    signing, agreement = keys.signing.verify_key.multikey, keys.agreement.public.multikey
    methods: list[Json] = [
        {"id": f"{did}#{key}", "type": "Multikey", "controller": did, "publicKeyMultibase": key}
        for key in (signing, agreement)
    ]
    return {
        "@context": list(_CONTEXT),
        "id": did,
        "verificationMethod": methods,
        "authentication": [f"{did}#{signing}"],
        "assertionMethod": [f"{did}#{signing}"],
        "keyAgreement": [f"{did}#{agreement}"],
    }


def _name_at(relay: str, id_: str) -> str:
    parts = urlsplit(relay)
    if parts.scheme != "https":
        _no_place(
            "Choose a relay that has an https address, or say --host for another server; to try it "
            "out, --host https://example.com/me does."
        )
    try:
        return webvh.placeholder_of(parts.hostname or "", port=parts.port, path=["identities", id_])
    except DidSyntaxError as error:
        _no_place("The relay has no name; say --host for another server.", error)


def _name_in(folder: str) -> str:
    hint = "Give the address of a folder: https://example.com/people/alice"
    try:
        parts = urlsplit(folder)
        bare = f"https://{parts.netloc}{parts.path}" == folder and "@" not in parts.netloc
        if not bare:
            _no_place(hint)
        path = parts.path.removesuffix("/").split("/")[1:]
        return webvh.placeholder_of(parts.hostname or "", port=parts.port, path=path)
    except (DidSyntaxError, ValueError) as error:
        _no_place(hint, error)


def _no_place(hint: str, cause: Exception | None = None) -> NoReturn:
    raise IdentityError(
        "a did:webvh needs a place with a name that is reached by https",
        code="identity.place",
        hint=hint,
    ) from cause
