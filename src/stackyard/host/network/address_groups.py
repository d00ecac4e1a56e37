"""Address groups: sets of intervals that rules of security groups look into, and the change from one to the next.

Pure. A group is two sets (IPv4, IPv6), and a chain without rules of which nobody but the survey knows: the note in it
tells a group that was applied from one that a rule merely names.
"""

from __future__ import annotations

import ipaddress

from stackyard.host.network import checks, names
from stackyard.host.network.filter import TABLE
from stackyard.host.network.nft import Chain, Listing
from stackyard.host.specs import AddressGroupSpec

_NOTE = "addresses "


def address_set(group_id: str, version: int) -> str:
    """Set with the addresses of an address group."""
    return f"a{version}_{names.short(group_id)}"


def _chain(group_id: str) -> Chain:
    return Chain(f"a_{names.short(group_id)}", note=f"{_NOTE}{group_id}")


def addresses_by_version(spec: AddressGroupSpec | None) -> dict[int, frozenset[str]]:
    """The group's addresses, IPv4 and IPv6 apart, as the fewest CIDRs: sets of intervals take no overlaps."""
    found: dict[int, list[checks.IPNetwork]] = {4: [], 6: []}
    for text in spec.addresses if spec else ():
        item = checks.network(text)
        found[item.version].append(item)
    four = ipaddress.collapse_addresses(n for n in found[4] if isinstance(n, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(n for n in found[6] if isinstance(n, ipaddress.IPv6Network))
    return {4: frozenset(map(str, four)), 6: frozenset(map(str, six))}


def declare_text(group_id: str) -> str:
    """Make the sets, empty or as they are; rules may then name them."""
    return "".join(
        f"add set {TABLE} {address_set(group_id, version)} {{ type {kind}; flags interval; }}\n"
        for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr"))
    )


def _flush_text(group_id: str) -> str:
    return "".join(f"flush set {TABLE} {address_set(group_id, version)}\n" for version in (4, 6))


def apply_text(spec: AddressGroupSpec, before: AddressGroupSpec | None) -> str:
    """The transaction that leads from `before` to `spec`; without `before`, from anything."""
    lines = []
    if before is None:
        lines += [declare_text(spec.id), _chain(spec.id).text(TABLE), _flush_text(spec.id)]
    old, new = addresses_by_version(before), addresses_by_version(spec)
    for version in (4, 6):
        for verb, items in (("delete", old[version] - new[version]), ("add", new[version] - old[version])):
            if items:
                name = address_set(spec.id, version)
                lines.append(f"{verb} element {TABLE} {name} {{ {', '.join(sorted(items))} }}\n")
    return "".join(lines)


def clear_text(group_id: str) -> str:
    """Empty the group, and forget that it was ever applied: rules that still name it match nothing."""
    chain = _chain(group_id)
    gone = f"{chain.declare(TABLE)}flush chain {TABLE} {chain.name}\ndelete chain {TABLE} {chain.name}\n"
    return declare_text(group_id) + _flush_text(group_id) + gone


def delete_texts(group_id: str) -> tuple[str, ...]:
    """Transactions that delete the emptied sets; each fails, harmlessly, while a rule names the set."""
    return tuple(f"delete set {TABLE} {address_set(group_id, version)}\n" for version in (4, 6))


def is_whole(filters: Listing, spec: AddressGroupSpec) -> bool:
    """Whether the sets hold just what they should."""
    wanted = addresses_by_version(spec)
    return filters.holds(_chain(spec.id)) and all(
        _canonical(filters.elements.get(address_set(spec.id, version))) == wanted[version] for version in (4, 6)
    )


def _canonical(elements: frozenset[str] | None) -> frozenset[str] | None:
    return None if elements is None else frozenset(str(checks.network(item)) for item in elements if "-" not in item)


def ids(filters: Listing) -> frozenset[str]:
    """The groups that were applied, by this process or an earlier one."""
    notes = (comments[0] for comments in filters.chains.values() if comments)
    return frozenset(note.removeprefix(_NOTE) for note in notes if note.startswith(_NOTE))
