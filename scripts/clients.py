"""The unmodified OpenStack clients in an environment of their own: what the demo and the tests drive the cloud with."""

from __future__ import annotations

import fcntl

from scripts import environments

CLIENTS = environments.ROOT / ".cache" / "clients"
OPENSTACK = CLIENTS / "bin" / "openstack"
GLANCE = CLIENTS / "bin" / "glance"
NOVA = CLIENTS / "bin" / "nova"
CINDER = CLIENTS / "bin" / "cinder"
PYTHON = CLIENTS / "bin" / "python"
# Pinned: the newest client that still speaks version 1 of the image API is to be known.
# So is the newest of Nova that has a command of its own.
# oauthlib is what the openstack client's commands for consumers and their tokens want.
REQUIREMENTS = (
    "python-openstackclient",
    "python-zunclient",
    "python-glanceclient==4.13.0",
    "python-novaclient==18.13.1",
    "python-cinderclient",
    "osc-placement",
    "oauthlib",
)
_INSTALLED = CLIENTS / "requirements.txt"


def install_clients() -> None:
    """Make the environment unless it has all of them; of several processes at once, one does and the others wait.

    Raises CalledProcessError with pip's output when a package cannot be had.
    """
    CLIENTS.parent.mkdir(exist_ok=True)
    with CLIENTS.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = "\n".join(REQUIREMENTS)
        if not _INSTALLED.exists() or _INSTALLED.read_text() != wanted:
            environments.make(CLIENTS, REQUIREMENTS)
            _INSTALLED.write_text(wanted)
