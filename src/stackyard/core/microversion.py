"""Microversions: which dialect of an API a call speaks (OpenStack API SIG, "Microversion Specification")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from stackyard.core.errors import BadRequest, NotAcceptable

_VERSION = re.compile(r"([1-9]\d*)\.(0|[1-9]\d*)")


class Microversion(NamedTuple):
    """A version such as 1.40; compares as the pair it is."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> Microversion:
        """Read `1.40`; BadRequest when it is not of that form."""
        match = _VERSION.fullmatch(text.strip())
        if match is None:
            raise BadRequest(f"API Version String '{text}' is of invalid format. It must be of format Major.Minor.")
        return cls(int(match[1]), int(match[2]))


class MicroversionRange(NamedTuple):
    """The versions that a service speaks. `service_type` is its name in the OpenStack-API-Version header.

    `legacy_header` is an older header that carries the number alone (X-OpenStack-Nova-API-Version).
    """

    service_type: str
    minimum: Microversion
    maximum: Microversion
    legacy_header: str | None = None

    def negotiate(self, headers: Mapping[str, str]) -> Microversion:
        """The version that the request asks for: the minimum without a header, the maximum for `latest`.

        Raises BadRequest for text that is no version, NotAcceptable (406) for one outside the range.
        """
        asked = self._asked(headers)
        if asked is None:
            return self.minimum
        if asked == "latest":
            return self.maximum
        version = Microversion.parse(asked)
        if not self.minimum <= version <= self.maximum:
            raise NotAcceptable(
                f"Version {version} is not supported by the API. Minimum is {self.minimum} "
                f"and maximum is {self.maximum}.",
                kind=f"{self.service_type}.microversion-unsupported",
            )
        return version

    def _asked(self, headers: Mapping[str, str]) -> str | None:
        for part in headers.get("openstack-api-version", "").split(","):
            words = part.split()
            if len(words) == 2 and words[0] == self.service_type:
                return words[1].lower()
        if self.legacy_header is not None:
            return headers.get(self.legacy_header)
        return None

    def headers(self, used: Microversion | None) -> dict[str, str]:
        """What every response says of versions."""
        found = {
            "OpenStack-API-Minimum-Version": f"{self.service_type} {self.minimum}",
            "OpenStack-API-Maximum-Version": f"{self.service_type} {self.maximum}",
            "Vary": "OpenStack-API-Version",
        }
        if used is not None:
            found["OpenStack-API-Version"] = f"{self.service_type} {used}"
        if self.legacy_header is not None:
            found["Vary"] += f", {self.legacy_header}"
            if used is not None:
                found[self.legacy_header] = str(used)
        return found
