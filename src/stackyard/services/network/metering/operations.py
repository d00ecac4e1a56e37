"""What the API does with metering labels and their rules. Neither can be changed: delete it and make another."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField, NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.paging import EVERYTHING, Filter, Listing, Scope
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import resources, seen
from stackyard.services.network.checks import ADMIN, MANAGER, SEE_OWN, any_of, rules
from stackyard.services.network.faults import conflict
from stackyard.services.network.metering.wanted import mark_routers
from stackyard.services.network.resources import Flag, Text, either, flag
from stackyard.services.network.tables import metering_label_rules, metering_labels

LABEL_NAMES = ("metering_label", "metering_labels")
RULE_NAMES = ("metering_label_rule", "metering_label_rules")
_PREFIXES = ("remote_ip_prefix", "source_ip_prefix", "destination_ip_prefix")

_LABEL = sa.select(metering_labels).where(metering_labels.c.id == bindparam("id"))
_INSERT = sa.insert(metering_labels)
_DELETE = sa.delete(metering_labels).where(metering_labels.c.id == bindparam("id"))
_OWNED_RULES = sa.select(metering_label_rules, metering_labels.c.project_id, metering_labels.c.shared).join(
    metering_labels, metering_labels.c.id == metering_label_rules.c.metering_label_id
)
_RULE = _OWNED_RULES.where(metering_label_rules.c.id == bindparam("id"))
_RULES_OF = sa.select(metering_label_rules).where(metering_label_rules.c.metering_label_id == bindparam("label"))
_INSERT_RULE = sa.insert(metering_label_rules)
_DELETE_RULE = sa.delete(metering_label_rules).where(metering_label_rules.c.id == bindparam("id"))
_DELETE_RULES = sa.delete(metering_label_rules).where(metering_label_rules.c.metering_label_id == bindparam("label"))


def _filters(table: sa.Table, *names: str) -> dict[str, Filter]:
    return {name: resources.column_filter(table.c[name]) for name in names}


LABELS = Listing(
    metering_labels,
    _filters(metering_labels, "id", "project_id", "name", "description", "shared")
    | {"tenant_id": Filter(metering_labels.c.project_id)},
    sort_keys=("name", "description", "project_id", "shared"),
    max_limit=resources.LARGEST_PAGE,
)
_RULE_COLUMNS = ("metering_label_id", "direction", "excluded", *_PREFIXES)
RULES = Listing(
    metering_label_rules,
    _filters(metering_label_rules, "id", *_RULE_COLUMNS),
    sort_keys=_RULE_COLUMNS,
    max_limit=resources.LARGEST_PAGE,
    select=_OWNED_RULES,
)


class NewLabel(Body):
    """The body of a POST of a label."""

    name: Text | UnsetType = UNSET
    description: Annotated[str, msgspec.Meta(max_length=1024)] | UnsetType | None = UNSET
    shared: Flag | UnsetType = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


class NewRule(Body, kw_only=True):
    """The body of a POST of a rule."""

    metering_label_id: Text
    direction: Text
    excluded: Flag | UnsetType = UNSET
    remote_ip_prefix: Text | UnsetType | None = UNSET
    source_ip_prefix: Text | UnsetType | None = UNSET
    destination_ip_prefix: Text | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def _find_label(tx: Transaction, caller: Caller, label_id: str) -> Any:
    missing = NotFound(f"Metering label '{label_id}' does not exist.", kind="MeteringLabelNotFound")
    return seen.owned(caller, tx.first(_LABEL, {"id": label_id}), missing)


def load_label(tx: Transaction, call: Call) -> Any:
    """The label in the path; raises MeteringLabelNotFound."""
    return _find_label(tx, call.caller, call.path["metering_label_id"])


def load_rule(tx: Transaction, call: Call) -> Any:
    """The rule in the path, with the project of its label; raises MeteringLabelRuleNotFound."""
    rule_id = call.path["metering_label_rule_id"]
    missing = NotFound(f"Metering label rule '{rule_id}' does not exist.", kind="MeteringLabelRuleNotFound")
    return seen.owned(call.caller, tx.first(_RULE, {"id": rule_id}), missing)


def label_view(row: Any) -> dict[str, Any]:
    """A label as the API shows it."""
    return {
        "id": row.id,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "name": row.name,
        "description": row.description,
        "shared": row.shared,
    }


def rule_view(row: Any) -> dict[str, Any]:
    """A rule as the API shows it."""
    return {name: getattr(row, name) for name in ("id", *_RULE_COLUMNS)}


def list_labels(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /metering/metering-labels."""
    page = resources.page_of(tx, call.query, LABELS, seen.own(call.caller, metering_labels))
    return resources.listed(call, "metering_labels", page, label_view)


def show_label(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /metering/metering-labels/{metering_label_id}."""
    del tx
    return {"metering_label": resources.shown(call, label_view(call.target))}


def create_label(tx: Transaction, call: Call) -> Reply:
    """POST /metering/metering-labels, one or many."""
    bodies, bulk = resources.read_bodies(call, NewLabel, *LABEL_NAMES)
    views = []
    for body in bodies:
        project_id = resources.owner(call, body)
        call.require("create_metering_label", {"project_id": project_id})
        row = {
            "id": new_uuid(),
            "project_id": project_id,
            "name": either(body.name, ""),
            "description": either(body.description, "") or "",
            "shared": flag("shared", body.shared, default=False),
        }
        tx.execute(_INSERT, row)
        timeline.record(tx, "metering_label", row["id"], "created")
        made = seen.Found(row)
        mark_routers(tx, made)
        views.append(label_view(made))
    return resources.created(call, LABEL_NAMES, views, bulk=bulk)


def delete_label(tx: Transaction, call: Call) -> None:
    """DELETE /metering/metering-labels/{metering_label_id}, and its rules."""
    row = call.target
    tx.execute(_DELETE_RULES, {"label": row.id})
    tx.execute(_DELETE, {"id": row.id})
    timeline.record(tx, "metering_label", row.id, "deleted")
    mark_routers(tx, row)


def list_rules(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /metering/metering-label-rules: those of the labels that the caller may see."""
    scope = EVERYTHING
    if not call.caller.is_admin:
        own = metering_labels.c.project_id == bindparam("caller")
        scope = Scope("own", own, {"caller": call.caller.project_id})
    return resources.listed(call, "metering_label_rules", resources.page_of(tx, call.query, RULES, scope), rule_view)


def show_rule(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /metering/metering-label-rules/{metering_label_rule_id}."""
    del tx
    return {"metering_label_rule": resources.shown(call, rule_view(call.target))}


def create_rule(tx: Transaction, call: Call) -> Reply:
    """POST /metering/metering-label-rules, one or many."""
    bodies, bulk = resources.read_bodies(call, NewRule, *RULE_NAMES)
    views = []
    for body in bodies:
        label = _find_label(tx, call.caller, body.metering_label_id)
        call.require("create_metering_label_rule", label._mapping)
        row = {"id": new_uuid(), "metering_label_id": label.id} | _read_rule(body)
        _refuse_overlap(tx, row)
        tx.execute(_INSERT_RULE, row)
        timeline.record(tx, "metering_label", label.id, "rule added", row["id"])
        mark_routers(tx, label)
        views.append(rule_view(seen.Found(row)))
    return resources.created(call, RULE_NAMES, views, bulk=bulk)


def _read_rule(body: NewRule) -> dict[str, Any]:
    if body.direction not in ("ingress", "egress"):
        raise InvalidField("direction", f"'{body.direction}' is not in ['ingress', 'egress'].")
    row: dict[str, Any] = {"direction": body.direction, "excluded": flag("excluded", body.excluded, default=False)}
    row |= {name: _prefix(name, either(getattr(body, name), None)) for name in _PREFIXES}
    given = [ipaddress.ip_network(row[name]) for name in _PREFIXES if row[name] is not None]
    if not given:
        raise _invalid(
            "You must define at least one of the following parameters 'remote_ip_prefix', or 'source_ip_prefix' or "
            "'destination_ip_prefix'."
        )
    if row["remote_ip_prefix"] is not None and len(given) > 1:
        raise _invalid(
            "Cannot use 'remote-ip-prefix' in conjunction with 'source-ip-prefix' or 'destination-ip-prefix'."
        )
    if len({network.version for network in given}) > 1:
        raise _invalid("'source_ip_prefix' and 'destination_ip_prefix' are not of one IP version.")
    return row


def _prefix(name: str, given: str | None) -> str | None:
    """An address, or a network that may be written with any of its addresses."""
    if not given:
        return None
    try:
        # An address of one link ("fe80::1%eth0") means nothing elsewhere, and nftables would not take it.
        network = None if "%" in given else ipaddress.ip_interface(given).network
    except ValueError:
        network = None
    if network is None:
        raise _invalid(f"{name}: {given} is invalid [it is neither an address nor a network].")
    return str(network)


def _invalid(message: str) -> BadRequest:
    return BadRequest(message, kind="Invalid")


def _refuse_overlap(tx: Transaction, row: dict[str, Any]) -> None:
    remote = row["remote_ip_prefix"]
    if remote is None:
        return
    new = ipaddress.ip_network(remote)
    for other in tx.all(_RULES_OF, {"label": row["metering_label_id"]}):
        if (other.direction, other.excluded) != (row["direction"], row["excluded"]) or other.remote_ip_prefix is None:
            continue
        present = ipaddress.ip_network(other.remote_ip_prefix)
        if present.version == new.version and present.overlaps(new):
            raise conflict(
                "MeteringLabelRuleOverlaps",
                f"Metering label rule with remote_ip_prefix '{remote}' overlaps another.",
            )


def delete_rule(tx: Transaction, call: Call) -> None:
    """DELETE /metering/metering-label-rules/{metering_label_rule_id}."""
    row = call.target
    tx.execute(_DELETE_RULE, {"id": row.id})
    timeline.record(tx, "metering_label", row.metering_label_id, "rule removed", row.id)
    mark_routers(tx, row)


_LABELS_PATH = "/v2.0/metering/metering-labels"
_LABEL_PATH = f"{_LABELS_PATH}/{{metering_label_id}}"
_RULES_PATH = "/v2.0/metering/metering-label-rules"
_RULE_PATH = f"{_RULES_PATH}/{{metering_label_rule_id}}"

ROUTES = (
    Route("GET", _LABELS_PATH, list_labels, "get_network_api"),
    Route("POST", _LABELS_PATH, create_label, "create_metering_label", body=dict, status=201),
    Route("GET", _LABEL_PATH, show_label, "get_metering_label", target=load_label),
    Route("DELETE", _LABEL_PATH, delete_label, "delete_metering_label", target=load_label, status=204),
    Route("GET", _RULES_PATH, list_rules, "get_network_api"),
    Route("POST", _RULES_PATH, create_rule, "create_metering_label_rule", body=dict, status=201),
    Route("GET", _RULE_PATH, show_rule, "get_metering_label_rule", target=load_rule),
    Route("DELETE", _RULE_PATH, delete_rule, "delete_metering_label_rule", target=load_rule, status=204),
)

_MANAGED = any_of(ADMIN, MANAGER)
POLICIES = (
    *rules(_MANAGED, "create_metering_label", "delete_metering_label", about="Make and delete a metering label."),
    *rules(
        _MANAGED,
        "create_metering_label_rule",
        "delete_metering_label_rule",
        about="Make and delete a rule of a metering label.",
    ),
    Rule("get_metering_label", SEE_OWN, "See a metering label."),
    Rule("get_metering_label_rule", SEE_OWN, "See a rule of a metering label."),
)
