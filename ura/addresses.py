"""Addresses of other systems: of those that get passwords and documents from us, and of those that hear our news."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from ura.errors import BadInput

Network = IPv4Network | IPv6Network


def guarded(url: str) -> str:
    """An address that may be told secrets, ending in a slash: https, or http inside the house (loopback, private
    address). Raises BadInput."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        inside = ip_address(host).is_private
    except ValueError:
        inside = host == "localhost"
    if not host or parts.username or parts.query or parts.fragment:
        raise BadInput("an address looks like https://provider.example, without password or question mark")
    if not (parts.scheme == "https" or (parts.scheme == "http" and inside)):
        raise BadInput("an address starts with https://; http:// only inside the provider's own network (a private IP)")
    return url.rstrip("/") + "/"


def outward(url: str) -> str:
    """An address that hears news of ours, which are signed and hold nobody's data: http or https, with a host, without
    a log-in in it. Where it leads is judged when it is connected to (ura/adapters/outbound_http.py). Raises BadInput.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password or parts.fragment or not url.isascii() or " " in url:
        raise BadInput("an address looks like https://receiver.example/prosa: http or https, no log-in, no fragment")
    return url


def networks(written: str) -> tuple[Network, ...]:
    """`10.20.0.0/16, fd00::/8`, comma between. Raises BadInput."""
    try:
        return tuple(ip_network(each.strip()) for each in written.split(",") if each.strip())
    except ValueError as error:
        raise BadInput("write networks as 10.20.0.0/16, comma between") from error
