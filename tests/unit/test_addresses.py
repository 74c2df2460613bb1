"""Which addresses an import may be fetched from."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from actors.runtime.addresses import configured_origins, is_public, origin_of, refuse_unless_public
from contracts.errors import Reject

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("64:ff9b:1::7f00:1", "fec0::1", "::7f00:1", "::ffff:0:7f00:1", "192.0.0.8"),
        *("::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1"),
    ],
)
def test_private_addresses_are_not_public(address: str) -> None:
    """Nobody reaches a router, a cloud's metadata or this machine's own services through an import."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses_are_public(address: str) -> None:
    """Real sites can be imported from."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/v.mp4", "http://localhost:80/", "http://[::1]:9/", "http://2130706433/", "http://0x7f.1/"]
)
def test_every_spelling_of_this_machine_is_refused(url: str) -> None:
    """The check resolves names as a connection would, so no spelling slips past."""
    with pytest.raises(Reject, match="not a public address"):
        refuse_unless_public(url, frozenset())


def test_configured_hosts_are_allowed_with_their_port_only() -> None:
    """The sandbox is reached, and nothing else on its host."""
    allowed = configured_origins({"internet_archive": "http://127.0.0.1:8401/ia"})
    refuse_unless_public("http://127.0.0.1:8401/any", allowed)
    with pytest.raises(Reject):
        refuse_unless_public("http://127.0.0.1:8402/any", allowed)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "http://", "//host/x", "http://h:99999/", "plain"])
def test_only_http(url: str) -> None:
    """No other kind of address is followed."""
    with pytest.raises(Reject, match="not an http or https address"):
        origin_of(url)


def test_a_guarded_process_connects_to_nothing_private() -> None:
    """Whatever the page fetcher's libraries follow, the connection itself is refused."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = (
            "import socket, urllib.request\nfrom actors.runtime.addresses import guard_process\n"
            f"guard_process({{('localhost', {port})}})\n"
            f"socket.create_connection(('localhost', {port})).close()\n"
            "try:\n"
            f"    urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=5)\n"
            "except Exception as error:\n    print(type(error).__name__, error)\n"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
        )
    assert "not a public address" in ran.stdout
