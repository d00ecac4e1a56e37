"""Volume types: what each kind of volume promises, and who may use it.

finding.py is what others ask; operations.py has the types themselves, extra_specs.py, access.py, encryption.py and
defaults.py what belongs to them.
"""

from __future__ import annotations

from stackyard.services.volume.types.finding import default, find

__all__ = ["default", "find"]
