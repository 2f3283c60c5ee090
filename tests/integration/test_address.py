"""What people type when they are asked where the sidecar is."""

from __future__ import annotations

from hypothesis import given, strategies as st
import pytest

from custom_components.barnabeenet.address import InvalidHost, parse_address


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("beast", ("beast", 10800)),
        ("  beast.local  ", ("beast.local", 10800)),
        ("Beast.local.", ("beast.local.", 10800)),
        ("192.168.1.20", ("192.168.1.20", 10800)),
        ("beast:12345", ("beast", 12345)),
        ("192.168.1.20:12345", ("192.168.1.20", 12345)),
        ("http://beast.local", ("beast.local", 10800)),
        ("tcp://beast.local:12345/", ("beast.local", 12345)),
        ("::1", ("::1", 10800)),
        ("fd00::20", ("fd00::20", 10800)),
        ("[fd00::20]", ("fd00::20", 10800)),
        ("[fd00::20]:12345", ("fd00::20", 12345)),
        ("my_box", ("my_box", 10800)),
    ],
)
def test_names_addresses_and_urls_are_understood(typed: str, address: tuple[str, int]) -> None:
    assert parse_address(typed, 10800) == address


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "the box in the cellar",
        "beast:port",
        "beast:99999",
        "beast:-1",
        "beast:0",
        "http://",
        "http://beast/api",
        "beast/api",
        "beast?x=1",
        "beast#top",
        "user:secret@beast",
        "-beast",
        "beast..local",
        "a" * 254,
        "[fd00::20",
        "beast\nother",
        "bea\x00st",
        "bücher.example",
    ],
)
def test_what_names_no_host_is_refused(typed: str) -> None:
    with pytest.raises(InvalidHost):
        parse_address(typed, 10800)


@given(st.text(max_size=300))
def test_any_text_is_either_an_address_or_refused(typed: str) -> None:
    try:
        host, port = parse_address(typed, 10800)
    except InvalidHost:
        return
    assert host
    assert not set(host) & set(" /@?#\n\t\x00")
    assert 0 < port < 65536
