"""The types of rules that this cloud knows, and what they take."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Forbidden, NotFound
from stackyard.services.network import resources
from stackyard.services.network.qos.kinds import KINDS

_DRIVER = "stackyard"


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /qos/rule-types; all that exist are supported, so `all_rules` and `all_supported` change nothing."""
    del tx
    wanted = call.query.all("type")
    found = [{"type": kind.type} for kind in KINDS if not wanted or kind.type in wanted]
    return {"rule_types": [resources.shown(call, item) for item in found]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /qos/rule-types/{rule_type}, for administrators; raises QosRuleTypeNotFound."""
    del tx
    if not call.caller.is_admin:
        raise Forbidden("Only an administrator may see the details of QoS rule types.", kind="NotAuthorized")
    name = call.path["rule_type"]
    for kind in KINDS:
        if kind.type == name:
            driver = {"name": _DRIVER, "supported_parameters": kind.parameters()}
            return {"rule_type": resources.shown(call, {"type": kind.type, "drivers": [driver]})}
    raise NotFound(f"QoS rule type {name} could not be found.", kind="QosRuleTypeNotFound")
