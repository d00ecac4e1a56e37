"""Security group rules are read as Neutron reads them."""

from __future__ import annotations

from typing import Any

import pytest

from stackyard.core.errors import BadRequest
from stackyard.host.network import checks
from stackyard.host.specs import SecurityRule
from stackyard.services.network.security_groups.bodies import NewRule, meaning, read_rule
from stackyard.services.network.security_groups.protocols import PROTOCOLS


def rule(**given: Any) -> NewRule:
    return NewRule(**({"security_group_id": "g", "direction": "ingress"} | given))


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 79}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 65536}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_min": -16, "port_range_max": 80}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_max": 6}, "SecurityGroupInvalidPortRange"),
        ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_max": 4}, "SecurityGroupMissingIcmpType"),
        ({"port_range_min": 80, "port_range_max": 80}, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "esp", "port_range_min": 1, "port_range_max": 2}, "SecurityGroupInvalidProtocolForPort"),
        ({"protocol": "bad"}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": 256}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "ipv6-frag"}, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"remote_ip_prefix": "fd00::/64"}, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "g2"}, "SecurityGroupMultipleRemoteEntites"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_address_group_id": "a"}, "SecurityGroupMultipleRemoteEntites"),
        ({"remote_group_id": "g2", "remote_address_group_id": "a"}, "SecurityGroupMultipleRemoteEntites"),
        ({"remote_ip_prefix": "10.0.0.0/99"}, "InvalidCIDR"),
        ({"remote_ip_prefix": "fe80::1%eth0", "ethertype": "IPv6"}, "InvalidCIDR"),
        ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 5}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_min": 1.5, "port_range_max": 5}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_min": True, "port_range_max": 5}, "SecurityGroupInvalidPortValue"),
        ({"protocol": "tcp", "port_range_min": "http", "port_range_max": 5}, "SecurityGroupInvalidPortValue"),
        ({"ethertype": 4}, "SecurityGroupRuleInvalidEtherType"),
        ({"ethertype": None}, "SecurityGroupRuleInvalidEtherType"),
        ({"direction": "sideways"}, "InvalidField"),
        ({"ethertype": "IPX"}, "SecurityGroupRuleInvalidEtherType"),
    ],
)
def test_rules_that_make_no_sense_are_refused(given: dict[str, Any], kind: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_rule(rule(**given))
    assert caught.value.kind == kind


def test_every_protocol_that_is_taken_is_one_that_the_host_knows() -> None:
    for name in [*PROTOCOLS, "0", "255"]:
        read = read_rule(rule(protocol=name, ethertype="IPv6"))
        spec = SecurityRule(direction="ingress", ethertype=6, protocol=read["protocol"])
        checks.check_rule(spec)
        number = {"icmp": 58, "0": 0}.get(name, PROTOCOLS.get(name, 255))
        assert checks.protocol(spec) == (number or None)


def test_numbers_may_be_texts_and_prefixes_keep_their_form() -> None:
    read = read_rule(rule(protocol="TCP", port_range_min="22", port_range_max=22, remote_ip_prefix="10.0.0.5/8"))
    assert (read["protocol"], read["port_range_min"], read["port_range_max"]) == ("tcp", 22, 22)
    assert (read["remote_ip_prefix"], read["normalized_cidr"]) == ("10.0.0.5/8", "10.0.0.0/8")


def test_old_names_of_icmpv6_and_a_range_of_all_ports_become_what_they_mean() -> None:
    for old, new in (("icmp", "ipv6-icmp"), ("icmpv6", "ipv6-icmp"), ("1", "58"), (1, "58")):
        assert read_rule(rule(protocol=old, ethertype="ipv6"))["protocol"] == new
    read = read_rule(rule(protocol="tcp", port_range_min=1, port_range_max=65535))
    assert (read["port_range_min"], read["port_range_max"]) == (None, None)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"protocol": "tcp"}, {"protocol": 6}, True),
        ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": 58, "ethertype": "IPv6"}, True),
        ({"remote_ip_prefix": "0.0.0.0/0"}, {}, True),
        ({"remote_ip_prefix": "10.0.0.1/8"}, {"remote_ip_prefix": "10.0.0.0/8"}, True),
        ({"protocol": "any"}, {"protocol": None}, True),
        ({"protocol": "tcp"}, {"protocol": "udp"}, False),
        ({"remote_group_id": "a"}, {"remote_address_group_id": "a"}, False),
        ({"ethertype": "IPv6"}, {}, False),
        ({"direction": "egress"}, {}, False),
    ],
)
def test_rules_that_mean_the_same_are_the_same(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (meaning(read_rule(rule(**one))) == meaning(read_rule(rule(**other)))) is same
