"""What is configured for one domain alone: where its users are, above all.

`settings_of` is for those who act on it; it has the secrets in clear.
"""

from __future__ import annotations

from stackyard.services.identity.domain_config.store import configured_domains, settings_of

__all__ = ["configured_domains", "settings_of"]
