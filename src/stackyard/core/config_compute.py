"""Settings of the compute service."""

from __future__ import annotations

from dataclasses import dataclass

from stackyard.core.config_checks import at_least, between, setting


@dataclass(frozen=True, slots=True)
class Compute:
    """The hosts that servers run on, and what of them may be promised."""

    availability_zone: str = setting("nova", "The availability zone of hosts that no aggregate gives another one.")
    cpu_allocation_ratio: float = setting(
        4.0, "Virtual CPUs that may be promised for each of a new host's own.", between(0.1, 1000)
    )
    ram_allocation_ratio: float = setting(
        1.0, "MiB of memory that may be promised for each of a new host's own.", between(0.1, 1000)
    )
    disk_allocation_ratio: float = setting(
        1.0, "GiB of disk that may be promised for each of a new host's own.", between(0.1, 1000)
    )
    reserved_host_memory: int = setting(512, "MiB of a host's memory that servers do not get.", at_least(0))
    reserved_host_disk: int = setting(0, "GiB of a host's disk that servers do not get.", at_least(0))
    migration_port: int = setting(
        0, "Port where other hosts fetch servers that move, on tunnel_address; 0: any free one.", between(0, 65535)
    )
    allow_resize_to_same_host: bool = setting(
        default=True, help_text="Whether a resize may leave a server on the host where it is."
    )
    guest_domain: str = setting("novalocal", "The domain that metadata adds to a server's host name; empty: none.")
    vendordata_file: str = setting("", "A JSON file whose object every guest finds as its vendor data; empty: none.")
    console_token_lifetime: int = setting(
        600, "Seconds that the address of a console can be opened in.", between(1, 86400)
    )
    console_origins: str = setting(
        "", "Host names, with commas between them, whose pages may open consoles, beside the cloud's own."
    )
