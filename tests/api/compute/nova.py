"""A client of the compute API for tests: asks at a microversion, and says what came back when it is not as expected."""

from __future__ import annotations

from tests.api.versioned import Versioned

LATEST = "2.104"


class Nova(Versioned):
    """One user's view of the compute API."""

    root = "/compute/v2.1"
    service_type = "compute"
    version = "2.1"
