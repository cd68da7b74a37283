"""The base of every error that this package raises.

    DidError                  did.error
    ├── EncodingError         encoding.*   base58btc, base64url, multibase, multihash
    ├── JsonError             json.*       not strict JSON, or a value without a canonical form
    ├── TimeFormatError       time.*       not exactly YYYY-MM-DDTHH:MM:SSZ
    ├── KeyFormatError        key.*        a key that must not be used, or of another kind
    ├── SignatureInvalid      signature.invalid
    ├── DidSyntaxError        did.syntax   not a DID, or not a DID URL; of one method:
    │                         did.web_syntax, did.jwk_syntax, did.peer_syntax
    ├── MethodNotSupported    did.method_not_supported, did.key_kind_not_supported,
    │                         did.network_needed
    ├── DidNotFound           did.not_found, did.version_not_found
    ├── DidResolutionError    did.resolution
    │   └── DidLogError       a did:webvh whose history does not hold: did.webvh_log,
    │                         did.webvh_scid, did.webvh_proof, did.webvh_witness
    └── DidDocumentError      did.document, did.wrong_id, did.deactivated, and the refusals of a
                              method in it:
                              key.unknown, key.not_authorised, key.foreign_controller,
                              key.revoked, key.expired

Every error has a stable ``code`` (``area.reason``), a sentence that says what was expected, and a
``hint`` that says how to mend it. Neither repeats the input that was refused.
"""

from typing import ClassVar


class DidError(Exception):
    """Something about an identifier, a key or a document that a caller can act on."""

    default_code: ClassVar[str] = "did.error"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.code: str = code or self.default_code
        self.hint: str = hint


class EncodingError(DidError):
    """Text that is not the one canonical encoding of some bytes."""

    default_code = "encoding.invalid"


class JsonError(DidError):
    """Text that is not strict JSON, or a value that has no canonical form."""

    default_code = "json.syntax"


class TimeFormatError(DidError):
    """A time that is not written as ``YYYY-MM-DDTHH:MM:SSZ``."""

    default_code = "time.format"


class KeyFormatError(DidError):
    """A key that is malformed, unsafe or of another kind than the one asked for."""

    default_code = "key.format"


class SignatureInvalid(DidError):
    """A signature that does not belong to this key and this message."""

    default_code = "signature.invalid"


class DidSyntaxError(DidError):
    """Text that is not a DID or not a DID URL."""

    default_code = "did.syntax"


class MethodNotSupported(DidError):
    """A DID of a method, or a key type of a method, that this resolver does not carry out."""

    default_code = "did.method_not_supported"


class DidNotFound(DidError):
    """The method looked, and there is no document."""

    default_code = "did.not_found"


class DidResolutionError(DidError):
    """The method could not come to an answer: not fetched, too large, or not JSON."""

    default_code = "did.resolution"


class DidLogError(DidResolutionError):
    """A log of did:webvh that breaks a rule. The DID's controller may still mend it."""

    default_code = "did.webvh_log"


class DidDocumentError(DidError):
    """A document that is malformed, or a method in it that must not be used for this."""

    default_code = "did.document"
