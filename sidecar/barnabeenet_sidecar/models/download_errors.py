"""What went wrong with a download, in one line that says what to look at."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp
from yarl import URL

_NO_NETWORK = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}


class Interrupted(Exception):
    """The server could not answer or stopped answering; another try may succeed."""


def is_hopeless(err: Exception, *, has_begun: bool) -> bool:
    """Whether another try within seconds would end the same; a server that was just there may come back."""
    if isinstance(err, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return not has_begun
    return isinstance(err, aiohttp.TooManyRedirects | aiohttp.ClientConnectorCertificateError)


def in_words(err: Exception, url: URL, file: str) -> str:
    """One line, whatever the libraries say."""
    host = url.host or str(url)
    match err:
        case Interrupted():
            said = str(err)
        case aiohttp.ClientConnectorCertificateError(certificate_error=reason):
            said = f"{host} cannot prove who it is ({_certificate(reason)}): check this machine's clock and any proxy"
        case aiohttp.ClientConnectorError(host=met, port=port, os_error=reason):
            # A redirect or a proxy may have led elsewhere.
            said = f"cannot reach {met}: {_no_connection(reason, port)}"
        case aiohttp.ConnectionTimeoutError():
            said = f"cannot reach {host}: nobody answers; check this machine's network and any firewall"
        case aiohttp.TooManyRedirects():
            said = f"{host} sends from one address to the next without end: check the source in the manifest"
        case aiohttp.ClientResponseError():
            said = f"{host} port {url.port} does not answer like a web server: check the source in the manifest"
        case aiohttp.ServerDisconnectedError():
            said = f"{host} closed the connection without an answer for {file}"
        case aiohttp.ClientPayloadError():
            said = f"{host} cut the connection in the middle of {file}"
        case TimeoutError():
            said = f"{host} sends nothing of {file}, or too slowly"
        case _:
            said = f"the download of {file} from {host} broke off: {_one_line(err)}"
    return said


def _no_connection(reason: OSError, port: int | None) -> str:
    match reason:
        case socket.gaierror():
            return f"its address cannot be found ({reason.strerror}); is this machine online?"
        case ConnectionRefusedError():
            return f"it refuses connections to port {port}"
        case ssl.SSLError():
            return f"it does not speak TLS on port {port} ({reason.reason})"
        case OSError(errno=number) if number in _NO_NETWORK:
            return f"no network leads there ({reason.strerror}); is this machine online?"
    return _one_line(reason.strerror or reason)


def _certificate(reason: Exception) -> str:
    return reason.verify_message if isinstance(reason, ssl.SSLCertVerificationError) else _one_line(reason)


def _one_line(value: object) -> str:
    return " ".join(str(value).split())
