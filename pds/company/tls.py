"""A certificate for development hosts. **For development only: nobody else trusts it.**

The authority is thrown away: its key is never written, so ``ca.pem`` can vouch for nothing but the
one certificate made with it, and name constraints hold it to the same hosts.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pds.company.errors import CompanyError

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_BACKDATED = timedelta(hours=1)
_SPARE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DevelopmentTls:
    """The three files: who to trust, what to show, and its key (0600)."""

    ca: Path
    certificate: Path
    key: Path


def make_development_tls(
    folder: Path, hosts: Sequence[str], *, now: datetime, days: int = 30
) -> DevelopmentTls:
    """Write ``ca.pem``, ``cert.pem`` and ``key.pem`` for these host names, valid ``days`` days.

    Those that are there are used again when they fit together, are for the same hosts and last
    a day more: a server that runs, and whoever trusts it, has them. Others are replaced. Raises
    ``CompanyError`` (``company.tls_hosts``).
    """
    if not hosts or not all(_HOST.fullmatch(host) for host in hosts):
        raise CompanyError(
            "a development certificate is for one or more names like shop.example",
            code="company.tls_hosts",
        )
    files = DevelopmentTls(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    if _fit(files, hosts, now):
        return files
    names = [x509.DNSName(host) for host in hosts]
    start, end = now - _BACKDATED, now + timedelta(days=days)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("DEVELOPMENT ONLY, do not trust")
    ca_key_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key(), start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(ca_key_id, critical=False)
        .add_extension(
            x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None), critical=True
        )
        .sign(ca_key, SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name("DEVELOPMENT ONLY"), ca_name, key.public_key(), start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_key_id),
            critical=False,
        )
        .sign(ca_key, SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(files.ca, ca.public_bytes(Encoding.PEM), mode=0o644)
    _write(files.certificate, certificate.public_bytes(Encoding.PEM), mode=0o644)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(files.key, secret, mode=0o600)
    return files


def _fit(files: DevelopmentTls, hosts: Sequence[str], now: datetime) -> bool:
    """Whether the three files are there, belong together, and are good for these hosts."""
    try:
        ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = load_pem_private_key(files.key.read_bytes(), password=None)
        certificate.verify_directly_issued_by(ca)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return (
        set(named.get_values_for_type(x509.DNSName)) == set(hosts)
        and key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)
        and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - _SPARE
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes, *, mode: int) -> None:
    path.unlink(missing_ok=True)  # so that the mode is ours, whatever was there before
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
