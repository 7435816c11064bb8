"""Addresses of the Internet Protocol as people write them, and as filters have them."""

from collections.abc import Iterable
from ipaddress import (
    IPv4Network,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_interface,
    ip_network,
)
from urllib.parse import urlsplit

from toolkit.errors import nearest

# What these mean in `IPAddressAllow=`: systemd.resource-control(5).
ADDRESS_NAMES = {
    "localhost": ("127.0.0.0/8", "::1/128"),
    "link-local": ("169.254.0.0/16", "fe80::/64"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
}
ADDRESS_TITLE = "an address, a prefix such as 149.154.160.0/20, or " + ", ".join(ADDRESS_NAMES)


def address_fault(entry: str) -> tuple[str, str] | None:
    """What is wrong with an entry of a list of addresses, and a hint; None if it is sound."""
    if entry in ADDRESS_NAMES:
        return None
    if entry == "any":
        return f"expected {ADDRESS_TITLE}", "leave the list out to allow all"
    try:
        address = ip_interface(entry)
    except ValueError:
        address = None
    # A filter knows no interfaces, which fe80::1%eth0 names.
    if address is None or "%" in entry:
        hint = "a filter knows no names of hosts: write their addresses" if entry[-1:].isalpha() else ""
        return f"expected {ADDRESS_TITLE}", nearest(entry, ADDRESS_NAMES) or hint
    if address.version == 6 and address.ip.ipv4_mapped:  # noqa: PLR2004  of the protocol
        # The filter sees what is on the wire, and there it is IPv4.
        return f"expected {ADDRESS_TITLE}", "write it as IPv4"
    if address.ip != address.network.network_address:
        return "expected the first address of the prefix", f"write {address.network}, or the address alone"
    return None


def prefixes(entries: Iterable[str]) -> tuple[str, ...]:
    """Sound entries of a list of addresses as the fewest prefixes, in order, IPv4 first."""
    networks = [ip_network(prefix) for entry in entries for prefix in ADDRESS_NAMES.get(entry, (entry,))]
    four = collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    six = collapse_addresses(network for network in networks if isinstance(network, IPv6Network))
    return (*map(str, four), *map(str, six))


def is_outside(url: str, allowed: Iterable[str]) -> bool:
    """Whether a URL surely names a server that a filter lets nobody reach; a name of a host may lie anywhere.

    Parameters:
        allowed: prefixes, as ``prefixes`` gives them.
    """
    host = urlsplit(url).hostname or ""
    try:
        addresses = [ip_address(each) for each in (("127.0.0.1", "::1") if host == "localhost" else (host,))]
    except ValueError:
        return False
    networks = [ip_network(prefix) for prefix in allowed]
    return not any(address in network for address in addresses for network in networks)
