"""A container's row as the spec that an engine makes true."""

from __future__ import annotations

from stackyard.services.containers.reconcile.spec import own_name

V6 = {"addr": "fd00::5", "version": 6}
V4 = {"addr": "10.0.0.5", "version": 4}


def test_a_container_finds_its_own_name_at_its_first_address() -> None:
    assert own_name("web", {"net": [V6, V4], "other": [{"addr": "10.1.0.5", "version": 4}]}) == {"web": "10.0.0.5"}
    assert own_name("web", {"net": [V6]}) == {"web": "fd00::5"}
    assert own_name("web", {}) == {}
