"""What rules of the network service are made of: who is asked for, and rules that come in numbers.

Apart from `policies`, so that a noun can declare its rules beside its operations.
"""

from __future__ import annotations

from stackyard.core.policy import Rule

ADMIN = "role:admin"
SERVICE = "role:service"
MEMBER = "(role:member and project_id:%(project_id)s)"
READER = "(role:reader and project_id:%(project_id)s)"
NET_MEMBER = "(role:member and project_id:%(network:project_id)s)"
NET_READER = "(role:reader and project_id:%(network:project_id)s)"
NET_MANAGER = "(role:manager and project_id:%(network:project_id)s)"
MANAGER = "(role:manager and project_id:%(project_id)s)"
GROUP_MEMBER = "(role:member and project_id:%(security_group:project_id)s)"
GROUP_READER = "(role:reader and project_id:%(security_group:project_id)s)"
PARENT_MEMBER = "(role:member and project_id:%(ext_parent:project_id)s)"
PARENT_READER = "(role:reader and project_id:%(ext_parent:project_id)s)"
SHARED = "True:%(shared)s"
EXTERNAL = "True:%(external)s"
NETWORK_DEVICE = "True:%(network_device)s"
COMPUTE_DEVICE = "True:%(compute_device)s"


def any_of(*checks: str) -> str:
    """A check that holds when one of these does."""
    return " or ".join(checks)


OWN = any_of(ADMIN, MEMBER)
SEE_OWN = any_of(ADMIN, READER)
ON_NETWORK = any_of(ADMIN, SERVICE, NET_MEMBER)


def rules(check: str, *names: str, about: str) -> tuple[Rule, ...]:
    """Several rules of one default."""
    return tuple(Rule(name, check, about) for name in names)


def attributes(check: str, noun: str, verbs: str, *names: str) -> tuple[Rule, ...]:
    """`create_network:shared` and the like: setting or seeing single attributes."""
    return tuple(
        Rule(f"{verb}_{noun}:{attribute}", check, f"The attribute {attribute} of a {noun}: {verb} it.")
        for verb in verbs.split()
        for attribute in names
    )
