"""Which addresses are fetched for a stranger, and where a file's address leads."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_channel_octo.policy.urls import is_file_of, is_public, literal_address, media_url

API = "https://octo.example/api"


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("https://cdn.example/a.png?x=1", "https://cdn.example/a.png?x=1"),
        ("HTTP://cdn.example/a", "HTTP://cdn.example/a"),
        ("file/preview/chat/1/a.png", f"{API}/file/chat/1/a.png"),
        ("/file/chat/a.png", f"{API}/file/chat/a.png"),
        ("chat/a.png", f"{API}/file/chat/a.png"),
        ("", ""),
        ("file/", ""),
        ("file/../../v1/bot/groups", ""),
        ("file:///etc/passwd", ""),
        ("ftp://x/y", ""),
        ("//evil.example/x", ""),
        ("https://user:pw@evil.example/x", ""),
        ("https://evil.example:0/x", ""),
        ("https://evil.example:99999/x", ""),
        ("https://[::1/x", ""),
        ("https:///x", ""),
        ("https://a b/x", ""),
        ("https://a\\b/x", ""),
        ("https://a/\u202ex", ""),
    ],
)
def test_an_address_leads_to_a_file_or_nowhere(url: str, absolute: str) -> None:
    assert media_url(url, f"{API}/file") == absolute


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::7f00:1",
        "nonsense",
        "",
    ],
)
def test_addresses_inside_a_network_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_the_same_however_it_is_wrapped(address: IPv4Address) -> None:
    mapped = IPv6Address(int(IPv6Address("::ffff:0:0")) + int(address))
    nat64 = IPv6Address(int(IPv6Address("64:ff9b::")) + int(address))
    assert is_public(str(mapped)) == is_public(str(nat64)) == is_public(str(address))


@pytest.mark.parametrize(
    ("host", "literal"),
    [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("example.org", ""), ("2130706433", ""), ("0x7f.1", "")],
)
def test_a_host_that_is_an_address_is_known_as_one(host: str, literal: str) -> None:
    assert literal_address(host) == literal


@pytest.mark.parametrize(
    ("url", "own"),
    [
        (f"{API}/file/chat/a.png", True),
        (f"{API}/v1/bot/file/download/a.png", True),
        ("https://OCTO.example:443/api/file/a", True),
        (f"{API}/v1/bot/groups", False),
        (f"{API}/file/../v1/bot/groups", False),
        ("http://octo.example/api/file/a", False),
        ("https://octo.example:8443/api/file/a", False),
        ("https://cdn.example/api/file/a", False),
    ],
)
def test_only_files_of_the_api_itself_are_the_bots_own(url: str, *, own: bool) -> None:
    assert is_file_of(url, API) is own
