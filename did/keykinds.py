"""Public keys of the kinds that a Multikey can name and that nothing here verifies with.

A did:key may hold them, so its document is given, and the key is checked as far as a library can:
secp256k1, P-521 and RSA keys wholly. Of BLS12-381 keys *only the length*: no library here knows
the curve, so whether they are points, and of the right subgroup, is not checked and must be by
whoever uses them.

Beside them stands the form of every key as a JSON Web Key.

Sources: SEC 1 §2.3.4, RFC 8017 §3.1 and appendix A.1.1, RFC 7518 §6.2 and §6.3, RFC 8037 §2,
RFC 8812 §3.1, the multicodec table.
"""

from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from did.ecdsa import Curve, EcdsaVerifyKey
from did.errors import KeyFormatError, MethodNotSupported
from did.json import JsonObject
from did.multikey import Codec, b64url_encode

# The JOSE name and the bytes of a coordinate.
_CURVES: dict[Codec, tuple[ec.EllipticCurve, str, int]] = {
    Codec.SECP256K1_PUB: (ec.SECP256K1(), "secp256k1", 32),
    Codec.P521_PUB: (ec.SECP521R1(), "P-521", 66),
}
_ECDSA = {Codec.P256_PUB: Curve.P256, Codec.P384_PUB: Curve.P384}
_BLS = (Codec.BLS12_381_G1_PUB, Codec.BLS12_381_G2_PUB, Codec.BLS12_381_G1G2_PUB)
_OCTETS = {Codec.ED25519_PUB: "Ed25519", Codec.X25519_PUB: "X25519"}
_RSA_BITS = range(2048, 4096 + 1)


def check(codec: Codec, raw: bytes) -> None:
    """Return if the bytes are a public key of this kind; see above for BLS12-381.

    Ed25519 and X25519 keys are the business of ``did.keys`` and not taken here. Raises
    ``KeyFormatError`` (``key.unsafe``, ``key.length``), and ``MethodNotSupported``
    (``did.key_kind_not_supported``) for secret keys.
    """
    if codec in _ECDSA:
        EcdsaVerifyKey.from_bytes(_ECDSA[codec], raw)
    elif codec in _CURVES:
        _point(codec, raw)
    elif codec is Codec.RSA_PUB:
        _rsa(raw)
    elif codec not in _BLS:
        _not_supported("the Multikey does not hold a public key of a kind known here")


def jwk_of(codec: Codec, raw: bytes) -> JsonObject:
    """A sound public key as a JSON Web Key; a new object each time.

    Raises what ``check`` raises, and ``MethodNotSupported`` (``did.key_kind_not_supported``) for
    BLS12-381, whose form as a JWK no standard settles.
    """
    if codec in _OCTETS:
        return {"kty": "OKP", "crv": _OCTETS[codec], "x": b64url_encode(raw)}
    if codec in _ECDSA:
        return EcdsaVerifyKey.from_bytes(_ECDSA[codec], raw).jwk
    if codec in _CURVES:
        _, name, size = _CURVES[codec]
        point = _point(codec, raw).public_numbers()
        return {
            "kty": "EC",
            "crv": name,
            "x": b64url_encode(point.x.to_bytes(size, "big")),
            "y": b64url_encode(point.y.to_bytes(size, "big")),
        }
    if codec is not Codec.RSA_PUB:
        _not_supported("a key of this kind has no form as a JSON Web Key here")
    numbers = _rsa(raw).public_numbers()
    return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}


def _point(codec: Codec, raw: bytes) -> ec.EllipticCurvePublicKey:
    group, name, size = _CURVES[codec]
    if len(raw) != size + 1:
        raise KeyFormatError(f"a compressed {name} key has {size + 1} bytes", code="key.length")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(group, raw)
    except ValueError:
        _unsafe(f"the key is not a point of {name}")


def _rsa(raw: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    # 1. A bare RSAPublicKey of PKCS #1, and in the one DER that it has: other wrappings, and
    #    numbers written longer than they are, would be second names of the same key.
    if not isinstance(key, rsa.RSAPublicKey) or raw != key.public_bytes(
        Encoding.DER, PublicFormat.PKCS1
    ):
        _unsafe("the key is not an RSA key in the DER form of PKCS #1")
    # 2. Numbers that an honest key can have. The library has seen to the exponent: odd, 3 or more.
    if key.key_size not in _RSA_BITS:
        raise KeyFormatError("an RSA key has 2048 to 4096 bits", code="key.length")
    if key.public_numbers().n % 2 == 0:
        _unsafe("the modulus of the RSA key is even")
    return key


def _number(value: int) -> str:
    # RFC 7518 §2, Base64urlUInt: as few bytes as hold it.
    return b64url_encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _unsafe(reason: str) -> NoReturn:
    raise KeyFormatError(
        reason, code="key.unsafe", hint="It was damaged, or made to deceive. Ask for another key."
    )


def _not_supported(reason: str) -> NoReturn:
    raise MethodNotSupported(reason, code="did.key_kind_not_supported")
