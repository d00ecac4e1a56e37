"""Who may do what with servers: Nova's rules with Nova's defaults.

Each noun declares its own (`POLICIES` in its module), with these fragments; all are spliced here.
"""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.services.compute import consoles, flavors, keypairs
from stackyard.services.compute.rules import ANY

POLICIES: tuple[Rule, ...] = (
    *consoles.POLICIES,
    Rule("os_compute_api:any", ANY, "Ask for an action on a server; the action's own rule is checked then."),
    *flavors.POLICIES,
    *keypairs.POLICIES,
)
