"""The configuration of a domain: set, show, change and delete all of it, a group, or an option."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.policy import ANY_SCOPE, Rule
from stackyard.core.routes import Route
from stackyard.services.identity.directory import sync
from stackyard.services.identity.domain_config import options, store
from stackyard.services.identity.policies import ADMIN, ADMIN_OR_READER, CLOUD
from stackyard.services.identity.targets import load, the

DEFAULT_DOMAIN = "default"
COMPLIANCE = "security_compliance"
_READABLE = ("password_regex", "password_regex_description")


def _named(call: Call) -> tuple[str, str | None, str | None]:
    """Domain, group and option of the path; NotFound without the domain, Forbidden for names that nobody knows."""
    group, option = call.path.get("group"), call.path.get("option")
    domain_id = the(call, "domain").id
    options.check_names(group, option)
    return domain_id, group, option


def _missing(domain_id: str, group: str | None, option: str | None) -> NotFound:
    what = f"option {option} in group {group}" if option else f"group {group}" if group else "any options"
    return NotFound(f"Could not find {what} in domain configuration for domain {domain_id}.")


def _part(config: store.Config, group: str | None, option: str | None) -> dict[str, Any] | None:
    """All of it, a group under its name, or an option under its name; None where it is not set."""
    if group is None:
        return config or None
    values = config.get(group)
    if not values:
        return None
    if option is None:
        return {group: values}
    return {option: values[option]} if option in values else None


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """What is set, but for secrets."""
    domain_id, group, option = _named(call)
    found = _part(store.shown(tx, domain_id), group, option)
    if found is None:
        raise _missing(domain_id, group, option)
    return {"config": found}


def create(tx: Transaction, call: Call) -> Reply:
    """Set all options of a domain anew."""
    domain_id, _, _ = _named(call)
    options.check(call.body)
    status = 200 if store.is_set(tx, domain_id) else 201
    store.remove(tx, domain_id)
    store.put(tx, domain_id, call.body)
    sync.configured(tx, domain_id)
    return Reply({"config": store.shown(tx, domain_id)}, status=status)


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """Set further options; of a group or option that the path names, only those, and only where they are set."""
    domain_id, group, option = _named(call)
    config: store.Config = call.body if group is None or option is None else {group: call.body}
    options.check(config)
    if group is not None:
        if set(config) != {group}:
            raise options.refused(
                f"Trying to update group {group}, so that, and only that, group must be specified in the config"
            )
        if option is not None and set(config[group]) != {option}:
            raise options.refused(
                f"Trying to update option {option} in group {group}, so that, and only that, option must be specified "
                "in the config"
            )
        if not store.is_set(tx, domain_id, group, option):
            raise _missing(domain_id, group, option)
    store.put(tx, domain_id, config)
    sync.configured(tx, domain_id)
    return {"config": store.shown(tx, domain_id)}


def delete(tx: Transaction, call: Call) -> None:
    """Set nothing any more."""
    domain_id, group, option = _named(call)
    if group is not None and not store.is_set(tx, domain_id, group, option):
        raise _missing(domain_id, group, option)
    store.remove(tx, domain_id, group, option)
    sync.configured(tx, domain_id)


def show_default(tx: Transaction, call: Call) -> dict[str, Any]:
    """What holds where nothing is set."""
    del tx
    group, option = call.path.get("group"), call.path.get("option")
    options.check_names(group, option)
    found = _part({name: dict(values) for name, values in options.DEFAULTS.items()}, group, option)
    if found is None:
        raise options.refused(f"Reading the default for option {option} in group {group} is not supported")
    return {"config": found}


def show_compliance(tx: Transaction, call: Call) -> dict[str, Any]:
    """The rule for new passwords, for whoever has to choose one; it is the same in every domain."""
    del tx
    if call.path["domain_id"] != DEFAULT_DOMAIN:
        raise options.refused(
            "Reading security compliance information for any domain other than the default domain is not allowed or "
            "supported"
        )
    password = call.runtime.settings.password
    values: dict[str, Any] = {name: getattr(password, name) or None for name in _READABLE}
    option = call.path.get("option")
    if option is None:
        return {"config": {COMPLIANCE: values}}
    if option not in values:
        raise options.refused(
            "Reading security compliance values other than password_regex and password_regex_description is not allowed"
        )
    return {"config": {option: values[option]}}


def refuse_compliance(tx: Transaction, call: Call) -> None:
    """Nobody changes the rule for passwords here: it is a setting."""
    del tx, call
    raise options.refused(f"Group {COMPLIANCE} is not supported for domain specific configurations")


POLICIES = (
    Rule("identity:create_domain_config", ADMIN, "Configure a domain.", CLOUD),
    Rule("identity:update_domain_config", ADMIN, "Change a domain's configuration.", CLOUD),
    Rule("identity:delete_domain_config", ADMIN, "Delete a domain's configuration.", CLOUD),
    Rule("identity:get_domain_config", ADMIN_OR_READER, "See a domain's configuration.", CLOUD),
    Rule("identity:get_domain_config_default", ADMIN_OR_READER, "See what is not configured.", CLOUD),
    Rule("identity:get_security_compliance_domain_config", "", "See the rule for passwords.", ANY_SCOPE),
)

_CONFIG = "/v3/domains/{domain_id}/config"
_COMPLIANCE = f"{_CONFIG}/{COMPLIANCE}"
_DEFAULT = "identity:get_domain_config_default"
_BODY = {"body": dict, "schema": dict[str, Any], "envelope": "config", "target": load}


def _part_routes(path: str) -> tuple[Route, ...]:
    return (
        Route("GET", path, show, "identity:get_domain_config", target=load),
        Route("PATCH", path, update, "identity:update_domain_config", **_BODY),
        Route("DELETE", path, delete, "identity:delete_domain_config", target=load),
    )


def _compliance_routes(path: str) -> tuple[Route, ...]:
    return (
        Route("GET", path, show_compliance, "identity:get_security_compliance_domain_config"),
        Route("PATCH", path, refuse_compliance, "identity:update_domain_config"),
        Route("DELETE", path, refuse_compliance, "identity:delete_domain_config"),
    )


ROUTES = (
    Route("GET", "/v3/domains/config/default", show_default, _DEFAULT),
    Route("GET", "/v3/domains/config/{group}/default", show_default, _DEFAULT),
    Route("GET", "/v3/domains/config/{group}/{option}/default", show_default, _DEFAULT),
    Route("PUT", _CONFIG, create, "identity:create_domain_config", **_BODY),
    *_part_routes(_CONFIG),
    *_part_routes(f"{_CONFIG}/{{group}}"),
    *_part_routes(f"{_CONFIG}/{{group}}/{{option}}"),
    *_compliance_routes(_COMPLIANCE),
    *_compliance_routes(f"{_COMPLIANCE}/{{option}}"),
)
