"""The base of every error that this package raises.

    CredentialError            credential.error
    ├── ContextRefused         context.*   a JSON-LD context that is not what it must be
    ├── RdfcRefused            rdfc.*      JSON-LD that RDF would not cover, or at great cost
    ├── StructureInvalid       credential.*, json.*, time.format
    │                                      not the shape that the standard or our profile asks for
    ├── ProofInvalid           proof.*, key.*   no proof, or one that does not hold
    ├── ControllerUnresolved   did.*       whose key it is could not be found out; maybe later
    ├── TimeInvalid            credential.expired, credential.not_yet_valid
    ├── StatusInvalid          status.*    a status list, entry or stamp not to be believed
    ├── StatusUnchecked        status.unavailable, status.stale, status.required,
    │                          status.unsupported   could not check; maybe later
    ├── Withdrawn              status.withdrawn, status.suspended   the issuer took it back
    ├── RelatedInvalid         related.*, schema.*  what it refers to is missing or does not match
    ├── PolicyRefused          policy.*    sound, but not what this verifier asked for
    ├── PresentationInvalid    presentation.*
    ├── GrantRefused           grant.*     sound, but not for this purpose, company, field or use
    └── TicketInvalid          ticket.*

Every error has a stable ``code`` (``area.reason``), a sentence that says what was expected, a
``hint`` that says how to mend it, and a ``pointer`` (RFC 6901) to the place; ``""`` is the whole
document. None of them repeats the input that was refused.
"""

from typing import ClassVar


class CredentialError(Exception):
    """Something about a signed object that a caller can act on."""

    default_code: ClassVar[str] = "credential.error"

    def __init__(
        self, message: str, *, code: str | None = None, hint: str = "", pointer: str = ""
    ) -> None:
        super().__init__(message)
        self.code: str = code or self.default_code
        self.hint: str = hint
        self.pointer: str = pointer


class ContextRefused(CredentialError):
    """A JSON-LD context that is unknown, unsafe or not the one the profile demands."""

    default_code = "context.refused"


class RdfcRefused(CredentialError):
    """A JSON-LD document that a signature over its RDF would not cover, or that costs too much."""

    default_code = "rdfc.refused"


class StructureInvalid(CredentialError):
    """A document that is not what the standard, or our own profile of it, asks for."""

    default_code = "credential.structure"


class ProofInvalid(CredentialError):
    """A proof that is missing, malformed, by somebody else, or does not hold."""

    default_code = "proof.invalid"


class ControllerUnresolved(CredentialError):
    """The DID document of a signer could not be had, so nothing is known about the proof."""

    default_code = "did.resolution"


class TimeInvalid(CredentialError):
    """A document that is over, or has not begun."""

    default_code = "credential.expired"


class StatusInvalid(CredentialError):
    """A status list, entry or stamp that must not be believed."""

    default_code = "status.invalid"


class StatusUnchecked(CredentialError):
    """Whether the document was withdrawn could not be found out."""

    default_code = "status.unavailable"


class Withdrawn(CredentialError):
    """The issuer took the document back, for ever or for now."""

    default_code = "status.withdrawn"


class RelatedInvalid(CredentialError):
    """What a document refers to could not be had or is not what it must be, or a schema is not
    followed."""

    default_code = "related.invalid"


class PolicyRefused(CredentialError):
    """A sound credential that is not what this verifier asked for."""

    default_code = "policy.refused"


class PresentationInvalid(CredentialError):
    """A presentation for another place or another moment, or of another shape."""

    default_code = "presentation.invalid"


class GrantRefused(CredentialError):
    """A sound grant that does not cover what is asked of it."""

    default_code = "grant.refused"


class TicketInvalid(CredentialError):
    """A sound ticket that is not for this relay."""

    default_code = "ticket.invalid"
