"""Which addresses given by strangers may be fetched from.

Whoever may ask for an import, or puts an address into an answer, must not be able to make this machine fetch what
only this machine can reach (server-side request forgery): the embedded services, a cloud's metadata address, a router.
So every host is resolved and each of its addresses must be public, at every redirect. The one exception is the host of
a base address that the operator configured (NAME_API_URL), which is how the sandbox and local mirrors are reached.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from contracts.errors import Reject, Retry

__all__ = [
    "NotPublic",
    "Origin",
    "configured_origins",
    "guard_process",
    "is_public",
    "origin_of",
    "public_addresses",
    "refuse_inner",
    "refuse_unless_public",
]

Origin = tuple[str, int]
"""Host in lower case, port."""
_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_INNER: Final = tuple(
    ipaddress.ip_network(network)
    for network in ("64:ff9b:1::/48", "fec0::/10", "::/96", "::ffff:0:0:0/96", "192.0.0.0/24")
)
"""Networks of somebody's own that `is_global` lets through."""


class NotPublic(Reject):
    """A host's name or number leads inside this network, where nothing is fetched from on a stranger's word."""


def origin_of(url: str) -> Origin:
    """Return the host and port of an address. Raises: Reject unless it is http or https."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in _PORTS or not host:
        raise Reject("the address is not an http or https address", mend="give the address of a video or its page")
    return host.lower(), port or _PORTS[parts.scheme]


def configured_origins(api_urls: Mapping[str, str]) -> frozenset[Origin]:
    """Return the origins that the operator configured."""
    return frozenset(origin_of(url) for url in api_urls.values())


def is_public(address: str) -> bool:
    """Whether an IP address is reachable from anywhere, also when it is wrapped in IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _INNER)


def refuse_unless_public(url: str, allowed: Collection[Origin]) -> None:
    """Resolve the host (blocks). Raises: NotPublic if an address is not public; Retry if it does not resolve."""
    origin = origin_of(url)
    if origin not in allowed:
        public_addresses(origin)


def public_addresses(origin: Origin) -> tuple[str, ...]:
    """Resolve a host (blocks); return its addresses, in the order in which they are to be tried. Raises: as above.

    Connect to what this returns: a name that is looked up again may lead elsewhere (DNS rebinding).
    """
    try:
        entries = socket.getaddrinfo(*origin, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Retry(f"the host {origin[0]} cannot be resolved ({error})") from error
    found = tuple(dict.fromkeys(str(entry[4][0]) for entry in entries))
    refuse_inner(origin, found)
    return found


def refuse_inner(origin: Origin, found: Collection[str]) -> None:
    """Raise NotPublic if one of the addresses that an origin's host has is not public."""
    if not all(is_public(address) for address in found):
        raise _refused(origin)


def guard_process(allowed: Collection[Origin]) -> None:
    """Let this process connect to public addresses and allowed origins only, whatever its libraries follow."""
    resolve: Callable[..., list[Any]] = socket.getaddrinfo

    def guarded(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        found = resolve(host, port, *args, **kwargs)
        name = host.decode() if isinstance(host, bytes) else str(host)
        if (name.lower(), port) in allowed or all(is_public(entry[4][0]) for entry in found):
            return found
        raise _refused((name, int(port or 0)))

    socket.getaddrinfo = guarded


def _refused(origin: Origin) -> NotPublic:
    return NotPublic(
        f"{origin[0]}:{origin[1]} is not a public address, so nothing is fetched from it",
        mend="download the file and import it by its path",
    )
