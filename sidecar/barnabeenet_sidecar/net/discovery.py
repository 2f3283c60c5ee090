"""The announcement on the local network (DNS-SD) by which Home Assistant finds the sidecar."""

from __future__ import annotations

import asyncio
from contextlib import suppress
import ipaddress
import logging
import socket
from typing import Final

from zeroconf import Error as ZeroconfError, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from .. import __version__
from .messages import CONTRACT_VERSION

_LOGGER = logging.getLogger(__name__)

SERVICE_TYPE: Final = "_barnabeenet._tcp.local."
_MULTICAST = ("224.0.0.251", 5353)
_LABEL_MAX_BYTES = 63
_CLOSE_S = 5.0


def service_info(*, sidecar_id: str, name: str, host: str, port: int, tls: bool = False) -> ServiceInfo:
    """What is announced: where the authenticated listener is, and the properties id, name, contract, version and tls."""
    # A label of DNS-SD holds 63 bytes; cutting may halve a letter, which is then dropped.
    label = name.encode()[:_LABEL_MAX_BYTES].decode(errors="ignore")
    return ServiceInfo(
        SERVICE_TYPE,
        f"{label}.{SERVICE_TYPE}",
        port=port,
        properties={
            "id": sidecar_id,
            "name": name,
            "contract": str(CONTRACT_VERSION),
            "version": __version__,
            "tls": str(int(tls)),
        },
        server=f"barnabeenet-{sidecar_id[:12]}.local.",
        parsed_addresses=_addresses(host),
    )


def _addresses(host: str) -> list[str]:
    """The address that others can dial when a server listens on `host`; none when it listens to itself alone."""
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        if not address.is_unspecified:
            return [] if address.is_loopback else [host]
    # Connecting a datagram socket sends nothing; it only chooses the address that multicast would leave from.
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_MULTICAST)
        return [probe.getsockname()[0]]
    return []


class Announcement:
    """Announces the sidecar from `start` to `close`; a network without multicast costs a line in the log."""

    def __init__(self, info: ServiceInfo) -> None:
        self._info = info
        self._zeroconf: AsyncZeroconf | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to announce; does not wait for the network."""
        if not self._info.parsed_addresses():
            _LOGGER.info("not announced on the network: no address that another machine could dial")
            return
        self._task = asyncio.create_task(self._announce(), name="announcement")

    async def close(self) -> None:
        """Takes the announcement back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._zeroconf is not None:
            with suppress(TimeoutError, OSError, ZeroconfError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._zeroconf.async_unregister_all_services()
            await self._zeroconf.async_close()
            self._zeroconf = None

    async def change(self, info: ServiceInfo) -> None:
        """Announces something else from now on, if anything is announced now."""
        was_started = self._task is not None
        await self.close()
        self._info = info
        if was_started:
            self.start()

    async def _announce(self) -> None:
        try:
            self._zeroconf = AsyncZeroconf()
            await (await self._zeroconf.async_register_service(self._info, allow_name_change=True))
        except (TimeoutError, OSError, ZeroconfError) as err:
            _LOGGER.warning("not announced on the network (%s): enter the address in Home Assistant by hand", err)
        else:
            _LOGGER.info("announced as %s", self._info.name.removesuffix(f".{SERVICE_TYPE}"))
