"""The client's side of TLS: encrypts, and leaves it to the hello to say with whom."""

from __future__ import annotations

import asyncio
from functools import cache
import hashlib
import ssl


async def encrypt(writer: asyncio.StreamWriter) -> str:
    """Goes on in TLS, from the first byte on; returns the SHA-256 of the other side's certificate, in hexadecimal (RFC 5929, 4.1).

    Raises OSError, and so ssl.SSLError, where the other side speaks none.
    """
    await writer.start_tls(_context())
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return hashlib.sha256(certificate).hexdigest()


@cache
def _context() -> ssl.SSLContext:
    """Takes any certificate: no authority vouches for a box at home, and a stranger's fails the proof of the token."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
