"""A port's further attributes, out of bodies: DHCP options, what machines want to know, the data plane's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET

from stackyard.core.errors import InvalidField
from stackyard.services.network import resources
from stackyard.services.network.networks.bodies import read_domain
from stackyard.services.network.ports.bodies import NewPortBody, PortFields
from stackyard.services.network.resources import flag

_LONGEST_NAME = 64
_LONGEST_VALUE = 255
_MOST_OPTIONS = 100
_MAY_BE_BLANK = ("router", "classless-static-route")
_NUMA_POLICIES = ("required", "preferred", "legacy", "socket")
_OFFLOAD_TYPES = ("switchdev",)
_STEERINGS = ("thread", "hash")
_LARGEST_PROFILE = 4095

Option = dict[str, Any]


def read_dhcp_options(given: Sequence[Mapping[str, Any]] | None) -> list[Option]:
    """DHCP options, an IP version being 4 unless said; a value of None asks to drop the option."""
    if len(given or ()) > _MOST_OPTIONS:
        raise InvalidField("extra_dhcp_opts", f"a port has at most {_MOST_OPTIONS} options.")
    return [_read_option(f"extra_dhcp_opts[{index}]", item) for index, item in enumerate(given or ())]


def _read_option(where: str, item: Mapping[str, Any]) -> Option:
    name, value, version = item.get("opt_name"), item.get("opt_value"), item.get("ip_version", 4)
    if "opt_value" not in item or item.keys() - {"opt_name", "opt_value", "ip_version"}:
        raise InvalidField(where, "an option has an opt_name, an opt_value and perhaps an ip_version, nothing else.")
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidField(f"{where}.opt_name", f"it must be one line of 1 to {_LONGEST_NAME} characters.")
    if value is not None and (not isinstance(value, str) or len(value) > _LONGEST_VALUE or not value.isprintable()):
        raise InvalidField(
            f"{where}.opt_value", f"it must be one line of at most {_LONGEST_VALUE} characters, or null."
        )
    if value is not None and not value.strip() and name not in _MAY_BE_BLANK:
        raise InvalidField(f"{where}.opt_value", f"it may be empty for {' and '.join(_MAY_BE_BLANK)} only.")
    if str(version) not in ("4", "6"):
        raise InvalidField(f"{where}.ip_version", f"'{version}' is not in [4, 6].")
    return {"opt_name": name, "opt_value": value, "ip_version": int(version)}


def merged(known: Sequence[Option], given: Sequence[Option]) -> list[Option]:
    """The options that a port has once those given have been added, changed, or dropped by a value of None."""
    found = {(option["opt_name"], option["ip_version"]): option for option in known}
    for option in given:
        key = (option["opt_name"], option["ip_version"])
        if option["opt_value"] is None:
            found.pop(key, None)
        else:
            found[key] = option
    return list(found.values())


def read(body: PortFields, known_options: Sequence[Option] = ()) -> dict[str, Any]:
    """The columns that a body sets of those attributes which need only be read."""
    found: dict[str, Any] = {}
    if body.extra_dhcp_opts is not UNSET and (body.extra_dhcp_opts or not known_options):
        found["extra_dhcp_opts"] = merged(known_options, read_dhcp_options(body.extra_dhcp_opts))
    if body.dns_domain is not UNSET:
        found["dns_domain"] = read_domain(body.dns_domain)
    if body.propagate_uplink_status is not UNSET:
        found["propagate_uplink_status"] = flag("propagate_uplink_status", body.propagate_uplink_status, default=True)
    if body.numa_affinity_policy is not UNSET:
        found["numa_affinity_policy"] = _one_of("numa_affinity_policy", body.numa_affinity_policy, _NUMA_POLICIES)
    if body.hints is not UNSET:
        found["hints"] = _read_hints(body.hints)
    if body.trusted is not UNSET:
        found["trusted"] = None if body.trusted is None else flag("trusted", body.trusted, default=False)
    return found


def read_new(body: NewPortBody) -> dict[str, Any]:
    """The same of a port that is made, with what can be said only then."""
    found = read(body)
    if body.device_profile is not UNSET:
        found["device_profile"] = body.device_profile
    if body.hardware_offload_type is not UNSET:
        found["hardware_offload_type"] = _one_of("hardware_offload_type", body.hardware_offload_type, _OFFLOAD_TYPES)
    return found


def read_data_plane_status(given: str | None) -> str | None:
    """What whoever watches the data plane says of it."""
    return _one_of("data_plane_status", given, ("ACTIVE", "DOWN"))


def read_profile(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A binding's profile: what host agents and machines tell each other, up to Neutron's size."""
    import msgspec

    if len(msgspec.json.encode(given or {})) > _LARGEST_PROFILE:
        raise InvalidField("binding:profile", f"it is larger than {_LARGEST_PROFILE} bytes.")
    return dict(given or {})


def _one_of(name: str, given: str | None, values: Sequence[str]) -> str | None:
    if given is not None and given not in values:
        raise InvalidField(name, f"'{given}' is not in {[*values, None]}.")
    return given


def _read_hints(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The one hint that there is: how Open vSwitch spreads what a port sends. Kept for machines to follow."""
    if given is None:
        return None
    steering: Any = given
    for key in ("openvswitch", "other_config", "tx-steering"):
        if not isinstance(steering, dict) or set(steering) - {key}:
            raise InvalidField("hints", "there is openvswitch.other_config.tx-steering, nothing else.")
        if key not in steering:
            return dict(given)
        steering = steering[key]
    if steering not in _STEERINGS:
        raise InvalidField("hints.openvswitch.other_config.tx-steering", f"'{steering}' is not in {list(_STEERINGS)}.")
    return dict(given)


def read_tags(body: NewPortBody) -> list[str]:
    """The tags of a new port."""
    return resources.read_tags(body.tags) if isinstance(body.tags, list) else []
