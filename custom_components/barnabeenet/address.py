"""Where a sidecar is: as an entry has it, and read from what people type or paste."""

from __future__ import annotations

from ipaddress import ip_address
import re
from typing import Final
from urllib.parse import urlsplit

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_HOST, CONF_PORT

from .client.connection import Address
from .const import CONF_TLS

_HOST_MAX_CHARS: Final = 253
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?", re.IGNORECASE)


class InvalidHost(ValueError):
    """What was typed names no host."""


def address_of(entry: ConfigEntry) -> Address:
    """Where the sidecar of an entry was when it was last heard of."""
    return Address(entry.data[CONF_HOST], entry.data[CONF_PORT], tls=entry.data.get(CONF_TLS, False))


def as_data(address: Address) -> dict[str, str | int | bool]:
    """The same as an entry keeps it."""
    return {CONF_HOST: address.host, CONF_PORT: address.port, CONF_TLS: address.tls}


def parse_address(typed: str, port: int) -> tuple[str, int]:
    """The host and port in a name, an IP address, `host:port` or a URL; the given port where it names none."""
    typed = typed.strip()
    if any(character.isspace() or not character.isprintable() for character in typed):
        raise InvalidHost("blanks or control characters")
    if typed.count(":") > 1 and not {"[", "/"} & set(typed):
        typed = f"[{typed}]"  # a bare IPv6 address
    try:
        url = urlsplit(typed if "://" in typed else f"//{typed}")
        host, url_port = url.hostname or "", url.port
    except ValueError as error:
        raise InvalidHost(str(error)) from error
    if url.username is not None or url.path.strip("/") or url.query or url.fragment:
        raise InvalidHost("more than a host and a port")
    if url_port == 0:
        raise InvalidHost("port 0")
    return _checked(host), url_port or port


def _checked(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        if len(host) > _HOST_MAX_CHARS or not _NAME.fullmatch(host):
            raise InvalidHost("not a host name") from None
        return host
