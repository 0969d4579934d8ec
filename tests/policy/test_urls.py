"""Which addresses are fetched for a stranger, and where a file's address leads."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from openclaw_channel_octo.policy.urls import is_file_of, is_public, literal_address, media_url, redirected

API = "https://octo.example/api"


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("https://cdn.example/a.png?x=1", "https://cdn.example/a.png?x=1"),
        ("HTTP://cdn.example/a", "http://cdn.example/a"),
        ("https://[2606:4700::1]/a", "https://[2606:4700::1]/a"),
        ("chat/季度.png?a=b%2Fc", f"{API}/file/chat/%E5%AD%A3%E5%BA%A6.png?a=b/c"),
        ("file/preview/chat/1/a.png", f"{API}/file/chat/1/a.png"),
        ("/file/chat/a.png", f"{API}/file/chat/a.png"),
        ("chat/a.png", f"{API}/file/chat/a.png"),
        ("", ""),
        ("file/", ""),
        ("file/../../v1/bot/groups", ""),
        ("file/%2e%2e/%2e%2e/v1/bot/groups", ""),
        ("file/%252e%252e/v1/bot/groups", ""),
        ("file/..%2f..%2fv1/bot/groups", ""),
        ("file/..;x/v1/bot/groups", ""),
        ("file/a.png?next=../../b", f"{API}/file/a.png?next=../../b"),
        ("file:///etc/passwd", ""),
        ("data:image/png;base64,AAAA", ""),
        ("https://:pw@evil.example/x", ""),
        ("https://127.0.0.1./x", ""),
        ("https://2130706433/x", ""),
        ("https://0x7f.1/x", ""),
        ("https://a.0x/x", ""),
        ("https://0177.0.0.1/x", ""),
        ("https://./x", ""),
        ("https://x.example/" + "a" * 9_000, ""),
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
    assert str(media_url(url, f"{API}/file") or "") == absolute


@pytest.mark.parametrize("host", ["１２７.0.0.1", "127。0。0。1", "①27.0.0.1", "127.0.0.1"])
def test_digits_of_any_script_are_the_address_they_are_asked_for_as(host: str) -> None:
    found = media_url(f"http://{host}/a", API)
    assert found is not None
    assert literal_address(found.raw_host or "") == "127.0.0.1"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b?x=1", "https://a.example/b?x=1"),
        ("b", "https://a.example/f/b"),
        ("//c.example/b", "https://c.example/b"),
        ("http://c.example/b", "http://c.example/b"),
        ("", ""),
        ("file:///etc/passwd", ""),
        ("gopher://c.example/b", ""),
        ("http://u:p@c.example/b", ""),
        ("http://[::1", ""),
        ("http://c.example:99999/", ""),
        ("http://2130706433/", ""),
        ("http://c.example/a b", ""),
    ],
)
def test_a_redirect_leads_to_another_http_address_or_nowhere(location: str, target: str) -> None:
    assert str(redirected(URL("https://a.example/f/a"), location) or "") == target


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
        "::ffff:0:7f00:1",
        "64:ff9b:1:7f00:0:100:808:808",
        "2001:0:7f00:1::1",
        "fec0::1",
        "3fff::1",
        "2001:db8::1",
        "192.0.0.192",
        "168.63.129.16",
        "100.100.100.200",
        "fd00:ec2::254",
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
        (f"{API}/file/%2e%2e/v1/bot/groups", False),
        (f"{API}/file/%252e%252e/v1/bot/groups", False),
        (f"{API}/file/..%2fv1/bot/groups", False),
        (f"{API}/file/..%5cv1/bot/groups", False),
        (f"{API}/file/..;/v1/bot/groups", False),
        ("https://octo.example/file/chat/a.png", False),
        ("https://octo.example/apifile/chat/a.png", False),
        ("http://octo.example/api/file/a", False),
        ("https://octo.example:8443/api/file/a", False),
        ("https://cdn.example/api/file/a", False),
    ],
)
def test_only_files_of_the_api_itself_are_the_bots_own(url: str, *, own: bool) -> None:
    assert is_file_of(URL(url), URL(API)) is own
