"""Addresses of other systems that get passwords and documents from us."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from ura.errors import BadInput


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
