"""Settings of the volume service."""

from __future__ import annotations

from dataclasses import dataclass

from stackyard.core.config_checks import at_least, between, setting


@dataclass(frozen=True, slots=True)
class Volume:
    """Where volumes are kept, and what of that may be promised."""

    availability_zone: str = setting("nova", "The availability zone of this host's volumes.")
    pool: str = setting("", "Directory that volumes are kept in; empty: one in the state directory.")
    shared: bool = setting(
        default=False, help_text="Every host of the cloud sees the same directory (NFS, CephFS): any may attach."
    )
    over_subscription: float = setting(
        20.0, "GiB that may be promised for each that the back end has, as volumes take room when written to.",
        between(1, 1000),
    )  # fmt: skip
    reserved_percentage: int = setting(0, "Percent of the back end that volumes do not get.", between(0, 99))
    max_size: int = setting(-1, "Largest volume in GiB; -1: no limit but the quota's.", at_least(-1))
