"""Who may look at the cache and change it; Glance's rules by Glance's names and with its defaults."""

from __future__ import annotations

from stackyard.core.policy import Rule

_ADMIN = "role:admin"

POLICIES: tuple[Rule, ...] = (
    Rule("cache_image", _ADMIN, "Have an image's data kept on the host."),
    Rule("cache_list", _ADMIN, "See which images' data is kept on the host."),
    Rule("cache_delete", _ADMIN, "Remove images' data from the host's cache and queue."),
    Rule("cache_clean", _ADMIN, "Remove what is left over in the host's cache."),
    Rule("cache_prune", _ADMIN, "Bring the host's cache within its limit."),
)
