"""TLS of the authenticated listener: a certificate that nobody has to sign, as the hello proves the token over it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
import hashlib
from pathlib import Path
import ssl
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ..errors import ConfigError
from .secret_file import ensure_secret

_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "barnabeenet-sidecar")])
# Nobody looks at the dates, and a small computer may start without a clock: they bound nothing.
_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
_UNTIL: Final = datetime(2999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Tls:
    """What a listener speaks, and by which certificate: `fingerprint` is its SHA-256 in hexadecimal (RFC 5929, 4.1)."""

    context: ssl.SSLContext
    fingerprint: str


def load_or_create(path: Path) -> Tls:
    """Reads a private key and its certificate from a PEM file, or makes both; raises ConfigError."""
    try:
        ensure_secret(path, _made, "private key")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # With a pass phrase of its own OpenSSL would ask for one, on a terminal that nobody may look at.
        context.load_cert_chain(path, password="")
        # The peer is sent the first certificate of the file.
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise ConfigError(
            f"the key and certificate in {path} cannot be used ({error}): put a key without a pass phrase and its "
            "certificate there, or remove the file and new ones are made"
        ) from error
    return Tls(context, hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest())


def _made() -> str:
    """A new private key and a certificate for it, signed by itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (private + certificate.public_bytes(Encoding.PEM)).decode("ascii")
