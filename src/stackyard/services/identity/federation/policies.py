"""Who may look after federation: administrators; a reader on the system may look on."""

from __future__ import annotations

from stackyard.core.policy import Rule

_CLOUD = ("system", "project")
_READ = "role:admin or (role:reader and system_scope:all)"
_NOUNS = {
    "identity_provider": "identity_providers",
    "protocol": "protocols",
    "mapping": "mappings",
    "service_provider": "service_providers",
}


def _of(singular: str, plural: str) -> tuple[Rule, ...]:
    spoken = plural.replace("_", " ")
    return (
        *(Rule(f"identity:{name}", _READ, f"See {spoken}.", _CLOUD) for name in (f"get_{singular}", f"list_{plural}")),
        *(
            Rule(f"identity:{verb}_{singular}", "role:admin", f"Change {spoken}.", _CLOUD)
            for verb in ("create", "update", "delete")
        ),
    )


POLICIES: tuple[Rule, ...] = tuple(rule for singular, plural in _NOUNS.items() for rule in _of(singular, plural))
