"""All keys of the holder, derived from one root secret.

For a relationship (generation, index) and a role,

    HKDF-SHA256(ikm = root (32 bytes), salt = "pds/v1/derive",
                info = LP(u32(generation)) ‖ LP(u32(index)) ‖ LP(role), L = 32)

where ``u32`` is four bytes big-endian and ``LP(x)`` is ``u32(len(x)) ‖ x`` (RFC 5869). The 32 bytes
are used by role as :class:`Role` says. Nothing else enters: the root alone restores every
relationship. Two derived keys show nobody that they have a root in common.

A public identity has an index of its own, and keys that change: for these the number of the
version of its log is a fourth part of ``info``, ``LP(u32(version))``.

The generation is raised when the root's older keys may have been copied or a backup was restored;
the index counts relationships within it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from did.keys import AgreementKey, SigningKey
from did.multikey import b64url_encode
from pds.errors import PdsError
from pds.sealing import SealingKey, length_prefixed

ROOT_BYTES = 32
_SALT = b"pds/v1/derive"
_U32_MAX = 2**32 - 1
_ID_BYTES = 16


class DeriveError(PdsError):
    """A root of another length than 32 bytes, or a generation or index beyond u32."""

    default_code = "vault.derivation"


class Role(StrEnum):
    """What the 32 derived bytes become. The values are part of the format."""

    DID = "did"  # Ed25519 seed of the relationship's did:key
    SEALING = "sealing"  # seed of the hybrid sealing key
    MAILBOX_KEY = "mailbox-key"  # Ed25519 seed of the mailbox owner's key towards the relay
    MAILBOX_ID = "mailbox-id"  # the first 16 bytes, base64url: 22 characters
    STATUS_ID = "status-id"  # the first 16 bytes, base64url: 22 characters
    # Of a public identity
    IDENTITY_ID = "identity-id"  # the first 16 bytes, base64url: its place at a relay
    IDENTITY_MAILBOX_KEY = "identity-mailbox-key"  # Ed25519 seed of the owner towards the relay
    IDENTITY_MAILBOX_ID = "identity-mailbox-id"  # the first 16 bytes, base64url
    # Of one version of it
    IDENTITY_UPDATE = "identity-update"  # Ed25519 seed: signs this entry of the log, and no other
    IDENTITY_SIGNING = "identity-signing"  # Ed25519 seed: authentication and assertions
    IDENTITY_AGREEMENT = "identity-agreement"  # X25519 secret: key agreement


@dataclass(frozen=True, slots=True)
class RelationshipKeys:
    """Everything that one relationship has; ``repr`` shows public values only."""

    did_key: SigningKey
    sealing_key: SealingKey
    mailbox_key: SigningKey
    mailbox_id: str
    status_id: str


@dataclass(frozen=True, slots=True)
class IdentityPlace:
    """Where an identity lies at a relay, and who may write there."""

    id: str
    mailbox_key: SigningKey
    mailbox_id: str


@dataclass(frozen=True, slots=True)
class IdentityKeys:
    """The keys of one version of an identity."""

    update: SigningKey
    signing: SigningKey
    agreement: AgreementKey


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """The holder's root: 32 random bytes, kept inside the vault and so in every backup.

    It is not the recovery kit. Whoever has it has every relationship. ``repr`` shows nothing of it.
    """

    _secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self._secret) != ROOT_BYTES:
            raise DeriveError("A root has 32 bytes.")

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> "Root":
        """A new root from 32 bytes of ``random``."""
        return cls(random(ROOT_BYTES))

    def relationship(self, generation: int, index: int) -> RelationshipKeys:
        """The keys and ids of one relationship; the same for the same root, for ever.

        Raises :class:`DeriveError` unless 0 ≤ generation, index < 2^32.
        """
        return RelationshipKeys(
            did_key=SigningKey.from_seed(self._derive(generation, index, Role.DID)),
            sealing_key=SealingKey.from_seed(self._derive(generation, index, Role.SEALING)),
            mailbox_key=SigningKey.from_seed(self._derive(generation, index, Role.MAILBOX_KEY)),
            mailbox_id=self._id(generation, index, Role.MAILBOX_ID),
            status_id=self._id(generation, index, Role.STATUS_ID),
        )

    def identity(self, generation: int, index: int) -> IdentityPlace:
        """The place of a public identity; raises as ``relationship`` does."""
        return IdentityPlace(
            id=self._id(generation, index, Role.IDENTITY_ID),
            mailbox_key=SigningKey.from_seed(
                self._derive(generation, index, Role.IDENTITY_MAILBOX_KEY)
            ),
            mailbox_id=self._id(generation, index, Role.IDENTITY_MAILBOX_ID),
        )

    def identity_keys(self, generation: int, index: int, version: int) -> IdentityKeys:
        """The keys of the version of a public identity; raises as ``relationship`` does."""
        return IdentityKeys(
            update=SigningKey.from_seed(
                self._derive(generation, index, Role.IDENTITY_UPDATE, version)
            ),
            signing=SigningKey.from_seed(
                self._derive(generation, index, Role.IDENTITY_SIGNING, version)
            ),
            agreement=AgreementKey.from_seed(
                self._derive(generation, index, Role.IDENTITY_AGREEMENT, version)
            ),
        )

    def unsafe_export(self) -> bytes:
        """The 32 secret bytes, for the encrypted database and for nothing else."""
        return self._secret

    def _id(self, generation: int, index: int, role: Role) -> str:
        return b64url_encode(self._derive(generation, index, role)[:_ID_BYTES])

    def _derive(self, generation: int, index: int, role: Role, *version: int) -> bytes:
        if not all(0 <= number <= _U32_MAX for number in (generation, index, *version)):
            raise DeriveError("Generation, index and version are numbers from 0 to 2^32 - 1.")
        info = length_prefixed(
            generation.to_bytes(4, "big"),
            index.to_bytes(4, "big"),
            role.value.encode("ascii"),
            *(number.to_bytes(4, "big") for number in version),
        )
        return HKDF(algorithm=SHA256(), length=32, salt=_SALT, info=info).derive(self._secret)
