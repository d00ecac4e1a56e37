"""Who may do what with volumes: Cinder's rules with Cinder's defaults.

Each noun declares its own (`POLICIES` in its module), with the fragments of rules.py; all are spliced here.
"""

from __future__ import annotations

from stackyard.core.policy import Rule
from stackyard.services.volume import group_types, qos
from stackyard.services.volume.rules import ANY
from stackyard.services.volume.types import access as types_access
from stackyard.services.volume.types import defaults as types_defaults
from stackyard.services.volume.types import encryption as types_encryption
from stackyard.services.volume.types import extra_specs as types_extra_specs
from stackyard.services.volume.types import operations as types_operations

POLICIES: tuple[Rule, ...] = (
    Rule("volume:any", ANY, "Ask for an action on a volume, snapshot, ...; the action's own rule is checked then."),
    *types_operations.POLICIES,
    *types_extra_specs.POLICIES,
    *types_access.POLICIES,
    *types_encryption.POLICIES,
    *types_defaults.POLICIES,
    *qos.POLICIES,
    *group_types.POLICIES,
)
