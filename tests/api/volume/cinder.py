"""A client of the volume API for tests: asks at a microversion, and says what came back when it is not as expected."""

from __future__ import annotations

from tests.api.versioned import Versioned

LATEST = "3.71"


class Cinder(Versioned):
    """One user's view of the volume API."""

    root = "/volume/v3"
    service_type = "volume"
    version = LATEST
