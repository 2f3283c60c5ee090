"""The announcement on the network: what it carries, and what a machine without multicast costs."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
from zeroconf import ServiceInfo, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from barnabeenet_sidecar import __version__
from barnabeenet_sidecar.net import discovery
from barnabeenet_sidecar.net.discovery import SERVICE_TYPE, Announcement, service_info
from barnabeenet_sidecar.net.messages import CONTRACT_VERSION

SIDECAR_ID = "0123456789abcdef0123456789abcdef"


def info(name: str = "Beast", host: str = "127.0.0.2", port: int = 10800) -> ServiceInfo:
    return service_info(sidecar_id=SIDECAR_ID, name=name, host=host, port=port)


def announced_on_loopback(name: str) -> ServiceInfo:
    """A service that may be announced here: this machine may have no other network than itself."""
    return ServiceInfo(
        SERVICE_TYPE,
        f"{name}.{SERVICE_TYPE}",
        port=10800,
        properties=info(name).properties,
        server="barnabeenet-test.local.",
        parsed_addresses=["127.0.0.1"],
    )


def test_the_announcement_says_who_speaks_which_contract_and_where() -> None:
    service = info(host="192.0.2.7", port=10888)
    assert service.name == "Beast._barnabeenet._tcp.local."
    assert (service.parsed_addresses(), service.port) == (["192.0.2.7"], 10888)
    assert service.decoded_properties == {
        "id": SIDECAR_ID,
        "name": "Beast",
        "contract": str(CONTRACT_VERSION),
        "version": __version__,
        "tls": "0",
    }


def test_the_announcement_says_whether_it_encrypts() -> None:
    kind = service_info(sidecar_id=SIDECAR_ID, name="Beast", host="192.0.2.7", port=1, tls=True)
    assert (kind.decoded_properties or {})["tls"] == "1"


def test_a_sidecar_that_listens_everywhere_announces_an_address_that_others_can_dial() -> None:
    addresses = info(host="0.0.0.0").parsed_addresses()
    assert "0.0.0.0" not in addresses
    assert all(not address.startswith("127.") for address in addresses)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_sidecar_that_listens_to_its_own_machine_has_no_address_to_announce(host: str) -> None:
    assert info(host=host).parsed_addresses() == []


def test_a_name_too_long_for_a_label_is_cut_between_letters_and_stays_whole_in_the_properties() -> None:
    name = "Küchenrechner " * 10
    service = info(name=name)
    label = service.name.removesuffix(f".{SERVICE_TYPE}")
    assert len(label.encode()) <= 63
    assert name.startswith(label)
    assert (service.decoded_properties or {})["name"] == name


async def test_a_browser_on_the_network_finds_the_sidecar_until_it_closes() -> None:
    changes: asyncio.Queue[tuple[str, ServiceStateChange]] = asyncio.Queue()

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        changes.put_nowait((name, state_change))

    announcement = Announcement(announced_on_loopback("Test Beast"))
    seeker = AsyncZeroconf(interfaces=["127.0.0.1"])
    browser = AsyncServiceBrowser(seeker.zeroconf, SERVICE_TYPE, handlers=[changed])
    try:
        announcement.start()
        name, change = await asyncio.wait_for(changes.get(), 10)
        assert (name, change) == (f"Test Beast.{SERVICE_TYPE}", ServiceStateChange.Added)
        found = AsyncServiceInfo(SERVICE_TYPE, name)
        assert await found.async_request(seeker.zeroconf, 3000)
        assert (found.decoded_properties or {})["id"] == SIDECAR_ID

        await announcement.change(announced_on_loopback("Test Cellar"))
        assert await asyncio.wait_for(changes.get(), 10) == (name, ServiceStateChange.Removed)
        name, change = await asyncio.wait_for(changes.get(), 10)
        assert (name, change) == (f"Test Cellar.{SERVICE_TYPE}", ServiceStateChange.Added)

        await announcement.close()
        name, change = await asyncio.wait_for(changes.get(), 10)
        assert change is ServiceStateChange.Removed
    finally:
        await announcement.close()
        await browser.async_cancel()
        await seeker.async_close()


async def test_a_machine_without_multicast_costs_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(discovery, "AsyncZeroconf", refuse)
    announcement = Announcement(announced_on_loopback("Beast"))
    announcement.start()
    assert announcement._task is not None
    await announcement._task
    await announcement.close()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "Network is unreachable" in warnings[0]
    assert "by hand" in warnings[0]
    caplog.clear()


async def test_a_sidecar_nobody_can_dial_is_not_announced(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    announcement = Announcement(info(host="127.0.0.1"))
    announcement.start()
    await announcement.close()
    assert "not announced" in caplog.text


async def test_what_is_closed_stays_so_whatever_its_name() -> None:
    announcement = Announcement(announced_on_loopback("Beast"))
    announcement.start()
    await announcement.close()
    await announcement.change(announced_on_loopback("Cellar"))
    assert announcement._task is None


async def test_closing_in_the_middle_of_announcing_leaves_nothing_behind() -> None:
    announcement = Announcement(announced_on_loopback("Brief Beast"))
    announcement.start()
    await asyncio.sleep(0)
    await announcement.close()
    await announcement.close()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "announcement"] == []


def test_without_a_network_there_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_args: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    assert info(host="0.0.0.0").parsed_addresses() == []
