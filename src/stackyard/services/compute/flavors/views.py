"""Flavors as the API shows them."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call


class Shown:
    """What the caller is shown of flavors at his microversion: worked out once, since lists show many."""

    def __init__(self, call: Call) -> None:
        root = call.url()
        self._self, self._bookmark = f"{root}/v2.1/flavors/", f"{root}/flavors/"
        self._described = call.since(2, 55)
        self._no_swap = 0 if call.since(2, 75) else ""
        self._factors = not call.since(2, 102)
        self._specs = call.since(2, 61) and call.allows("os_compute_api:os-flavor-extra-specs:index")

    def brief(self, row: Any) -> dict[str, Any]:
        """A flavor in a list."""
        links = [
            {"rel": "self", "href": self._self + row.flavorid},
            {"rel": "bookmark", "href": self._bookmark + row.flavorid},
        ]
        found = {"id": row.flavorid, "name": row.name, "links": links}
        if self._described:
            found["description"] = row.description
        return found

    def full(self, row: Any) -> dict[str, Any]:
        """A flavor with all that it has."""
        found = self.brief(row)
        found["ram"] = row.memory_mb
        found["disk"] = row.root_gb
        found["vcpus"] = row.vcpus
        found["swap"] = row.swap or self._no_swap
        found["OS-FLV-EXT-DATA:ephemeral"] = row.ephemeral_gb
        found["os-flavor-access:is_public"] = row.is_public
        if self._factors:
            found["OS-FLV-DISABLED:disabled"] = row.disabled
            found["rxtx_factor"] = row.rxtx_factor
        if self._specs:
            found["extra_specs"] = row.extra_specs
        return found
