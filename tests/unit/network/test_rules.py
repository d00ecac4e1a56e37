"""Security group rules are read as Neutron reads them."""

from __future__ import annotations

from typing import Any

import pytest

from stackyard.core.errors import BadRequest
from stackyard.host.network import checks
from stackyard.host.specs import SecurityRule
from stackyard.services.network.security_groups.bodies import PROTOCOLS, NewRule, read_rule


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
        ({"protocol": "esp", "port_range_min": 1, "port_range_max": 2}, "SecurityGroupRuleInvalidProtocolForPortRange"),
        ({"protocol": "bad"}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": 256}, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "ipv6-frag"}, "SecurityGroupEthertypeConflictWithProtocol"),
        ({"remote_ip_prefix": "fd00::/64"}, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "g2"}, "SecurityGroupRemoteGroupAndRemoteIpPrefix"),
        ({"remote_ip_prefix": "10.0.0.0/99"}, "InvalidField"),
        ({"direction": "sideways"}, "InvalidField"),
        ({"ethertype": "IPX"}, "InvalidField"),
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
        assert spec.protocol == name


def test_numbers_may_be_texts_and_prefixes_keep_their_form() -> None:
    read = read_rule(rule(protocol="TCP", port_range_min="22", port_range_max=22, remote_ip_prefix="10.0.0.5/8"))
    assert (read["protocol"], read["port_range_min"], read["port_range_max"]) == ("tcp", 22, 22)
    assert (read["remote_ip_prefix"], read["normalized_cidr"]) == ("10.0.0.5/8", "10.0.0.0/8")
