"""Protocols whose further connections a router recognises (FTP's data, SIP's media): which the kernel has, and rules.

A kernel may have any of them or none; each is tried once, in a namespace that is thrown away.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable

from stackyard.host.errors import HostError, SpecError
from stackyard.host.network import netns
from stackyard.host.network.nft import Chain, Nftables, NftError
from stackyard.host.specs import ConntrackHelper

_KERNEL_NAMES = {("h323", "udp"): "RAS", ("h323", "tcp"): "Q.931"}
"""Neutron's names that the kernel does not use."""

KNOWN = frozenset({"amanda", "ftp", "h323", "irc", "netbios-ns", "pptp", "sane", "sip", "snmp", "tftp"})

_HOOK = "{ type filter hook prerouting priority -140; policy accept; }"


def _kernel_name(item: ConntrackHelper) -> str:
    return _KERNEL_NAMES.get((item.helper, item.protocol), item.helper)


def _object_name(item: ConntrackHelper) -> str:
    return f"helper_{item.helper}_{item.protocol}"


def _definition(item: ConntrackHelper, table: str) -> str:
    kind = f'type "{_kernel_name(item)}" protocol {item.protocol};'
    return f"ct helper {table} {_object_name(item)} {{ {kind} }}"


def objects(items: Iterable[ConntrackHelper]) -> dict[str, str]:
    """Definitions by name, with a place for the table; helpers on several ports share one."""
    return {
        _object_name(item): _definition(item, "TABLE").replace("{", "{{").replace("}", "}}").replace("TABLE", "{table}")
        for item in items
    }


def chains(items: tuple[ConntrackHelper, ...]) -> tuple[Chain, ...]:
    """Gives new connections to these ports their helper; no chain when there is none."""
    if not items:
        return ()
    rules = (f'{item.protocol} dport {item.port} ct state new ct helper set "{_object_name(item)}"' for item in items)
    return (Chain("helpers", tuple(dict.fromkeys(rules)), _HOOK),)


def require(items: Iterable[ConntrackHelper]) -> None:
    """Raise SpecError for a helper that this kernel has not."""
    for item in items:
        if not _kernel_has(_kernel_name(item), item.protocol):
            raise SpecError(
                f"the kernel of this host has no connection tracking helper {item.helper} ({item.protocol})"
            )


@functools.cache
def _kernel_has(name: str, protocol: str) -> bool:
    def attempt() -> bool:
        netns.unshare()
        with contextlib.closing(Nftables()) as nft:
            try:
                nft.run(f'add table inet t\nadd ct helper inet t h {{ type "{name}" protocol {protocol}; }}\n')
            except NftError:
                return False
        return True

    try:
        return netns.in_thread(attempt)
    except OSError as error:
        raise HostError(f"network namespaces cannot be made: {error}") from error
