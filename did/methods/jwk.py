"""did:jwk: the identifier is a JSON Web Key, so its document is computed and never changes.

Sources: the did:jwk Method (commit of 2023-08-19), RFC 7517 §4, RFC 7518 §6.2, RFC 8037 §2–3.

One key has many such identifiers, as its JSON can be written in many ways: each is kept as written.
"""

from did.document import SECRET_MEMBERS, DidDocument
from did.errors import (
    DidSyntaxError,
    EncodingError,
    JsonError,
    KeyFormatError,
    MethodNotSupported,
)
from did.identifier import MAX_LENGTH, Did
from did.json import Json, JsonObject, canonicalize, parse_object
from did.keys import AgreementPublicKey, VerifyKey
from did.multikey import b64url_decode, b64url_encode

_CONTEXT: list[Json] = [
    "https://www.w3.org/ns/did/v1",
    "https://w3id.org/security/suites/jws-2020/v1",
]
_SIGNING = ("assertionMethod", "authentication", "capabilityInvocation", "capabilityDelegation")
# RFC 7518 §4.6, RFC 8037 §3.2.
_AGREEING = ("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW")
# What each curve can be used for, with the algorithms that do it. RFC 9864 §2.2 names Ed25519.
_USES: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    ("OKP", "Ed25519"): {"sig": ("EdDSA", "Ed25519")},
    ("OKP", "X25519"): {"enc": _AGREEING},
    ("EC", "P-256"): {"sig": ("ES256",), "enc": _AGREEING},
    ("EC", "P-384"): {"sig": ("ES384",), "enc": _AGREEING},
}


def resolve(did: Did) -> DidDocument:
    """The document of a did:jwk with an Ed25519, X25519, P-256 or P-384 key.

    The one method ``#0`` stands under the four signing relationships when the key's ``use`` is
    ``sig``, under ``keyAgreement`` when it is ``enc``, and under all five without a ``use``: then
    the kind of the key alone says what can be done with it.

    Raises ``DidSyntaxError`` (``did.jwk_syntax``) when the identifier is no strict JSON object in
    base64url, ``MethodNotSupported`` (``did.key_kind_not_supported``) for other kinds of keys,
    ``KeyFormatError`` (``key.secret`` for a secret key, ``key.use`` for a ``use`` or ``alg`` that
    is not the curve's, ``key.unsafe``, ``key.length``, ``key.format``) and ``EncodingError``.
    """
    if did.method != "jwk":
        raise MethodNotSupported("this is not a did:jwk")
    # 1. base64url of a JSON object (Read, steps 1–3).
    try:
        jwk = parse_object(b64url_decode(did.id), max_bytes=MAX_LENGTH)
    except (EncodingError, JsonError):
        raise DidSyntaxError(
            "the identifier is not a JSON object in base64url", code="did.jwk_syntax"
        ) from None
    # 2. A sound public key, whose members agree (Read, step 4).
    use = _check(jwk)
    # 3. The document (Create).
    method = f"{did}#0"
    document: JsonObject = {
        "@context": list(_CONTEXT),
        "id": str(did),
        "verificationMethod": [
            {
                "id": method,
                "type": "JsonWebKey2020",
                "controller": str(did),
                "publicKeyJwk": jwk,
            }
        ],
    }
    if use != "enc":
        document |= {name: [method] for name in _SIGNING}
    if use != "sig":
        document["keyAgreement"] = [method]
    return DidDocument.parse(document, expected=did)


def did_of_jwk(jwk: JsonObject) -> Did:
    """The did:jwk of a public key, its JSON written in the canonical form (RFC 8785).

    Raises what ``resolve`` raises for it.
    """
    did = Did.parse("did:jwk:" + b64url_encode(canonicalize(jwk)))
    resolve(did)
    return did


def _check(jwk: JsonObject) -> str | None:
    """Refuse what is no sound public key of a kind known here; return its ``use``."""
    # A secret key, whoever reads it, is no longer one.
    if not SECRET_MEMBERS.isdisjoint(jwk):
        raise KeyFormatError(
            "the identifier holds a secret key",
            code="key.secret",
            hint="The key is known to all who saw the identifier. Make another one.",
        )
    kty, crv = jwk.get("kty"), jwk.get("crv")
    uses = _USES.get((kty, crv)) if isinstance(kty, str) and isinstance(crv, str) else None
    if uses is None:
        raise MethodNotSupported(
            "did:jwk is resolved for Ed25519, X25519, P-256 and P-384 keys only",
            code="did.key_kind_not_supported",
        )
    if kty == "EC":
        from did.ecdsa import EcdsaVerifyKey  # a second library, loaded by who needs it

        EcdsaVerifyKey.from_jwk(jwk)
    else:
        x = jwk.get("x")
        if not isinstance(x, str):
            raise KeyFormatError("an OKP key has its bytes in x")
        kind = VerifyKey if crv == "Ed25519" else AgreementPublicKey
        kind.from_bytes(b64url_decode(x))
    use = jwk.get("use")
    if "use" in jwk and (not isinstance(use, str) or use not in uses):
        raise KeyFormatError("the key's use does not go with its curve", code="key.use")
    if "alg" in jwk and not any(
        jwk["alg"] in algorithms for name, algorithms in uses.items() if use in (None, name)
    ):
        raise KeyFormatError("the key's alg does not go with its curve and use", code="key.use")
    return use if isinstance(use, str) else None
