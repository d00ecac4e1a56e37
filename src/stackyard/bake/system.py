"""A whole Debian for system containers: an init, SSH and cloud-init, made by mmdebstrap as a root file system."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from stackyard.host.errors import HostError

NAME = "debian-system"

# Part of the cached file's name: raise it when the same settings come out differently.
_FORMAT = "1"
_TIMEOUT = 3600

# systemd wants cgroups of its own, which not every engine can give to a container without privileges.
_PACKAGES = (
    "sysvinit-core", "openssh-server", "cloud-init", "sudo", "netbase", "iproute2", "iputils-ping", "ca-certificates",
    "curl", "procps",
)  # fmt: skip
_WITHOUT = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian")

_CLOUD_INIT = """\
# The network is set up from outside, and the disk is the host's.
datasource_list: [OpenStack, NoCloud, None]
datasource: {OpenStack: {max_wait: 20, timeout: 5, apply_network_config: false}}
network: {config: disabled}
growpart: {mode: "off"}
resize_rootfs: false
locale: C.UTF-8
"""
_INITTAB = """\
id:2:initdefault:
si::sysinit:/etc/init.d/rcS
l0:0:wait:/etc/init.d/rc 0
l2:2:wait:/etc/init.d/rc 2
l6:6:wait:/etc/init.d/rc 6
pf::powerwait:/sbin/shutdown -h now
co:2:respawn:/sbin/agetty --noclear --keep-baud console 115200 vt100
"""


def build(cache_dir: Path, progress: Callable[[str], None]) -> Path:
    """The root file system as a tar, from the cache when it has been built on this release before.

    Raises HostError when mmdebstrap is missing or fails, or the machine runs no Debian.
    """
    suite = _suite()
    if shutil.which("mmdebstrap") is None:
        raise HostError("baking a system needs the package mmdebstrap")
    if os.geteuid() != 0:
        raise HostError("baking a system needs the rights of root: its files belong to several users")
    cache_dir = cache_dir.absolute()  # mmdebstrap works elsewhere
    cache_dir.mkdir(parents=True, exist_ok=True)
    path = cache_dir / f"{NAME}-{suite}-{_digest()}.tar.gz"
    with (cache_dir / "lock").open("w") as lock:
        # Two bakes at once would do the same work twice.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            progress(f"installing {suite} with {len(_PACKAGES)} packages and what they need")
            with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".build-") as directory:
                made = Path(directory, "system.tar.gz")
                _bootstrap(suite, made, Path(directory))
                made.replace(path)
    return path


def _suite() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if release.get("ID") != "debian" or not release.get("VERSION_CODENAME"):
        raise HostError("a system is baked from the release that the machine itself runs, which must be a Debian")
    return release["VERSION_CODENAME"]


def _digest() -> str:
    basis = "\0".join((_FORMAT, platform.machine(), *_PACKAGES, *_WITHOUT, _CLOUD_INIT, _INITTAB))
    return hashlib.sha256(basis.encode()).hexdigest()[:16]


def _bootstrap(suite: str, target: Path, work: Path) -> None:
    files = {"etc/cloud/cloud.cfg.d/99-container.cfg": _CLOUD_INIT, "etc/inittab": _INITTAB}
    hooks = []
    for number, (name, text) in enumerate(files.items()):
        source = work / str(number)
        source.write_text(text)
        source.chmod(0o644)
        hooks.append(f"--customize-hook=upload {source} /{name}")
    # Each server makes keys and an identity of its own when it first starts.
    hooks.append('--customize-hook=rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/machine-id "$1"/etc/hostname')
    excluded = [f"--dpkgopt=path-exclude=/{folder}/*" for folder in _WITHOUT]
    words = [
        "mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={','.join(_PACKAGES)}",
        '--aptopt=APT::Install-Recommends "false"', *excluded, "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        *hooks, suite, str(target),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            words, check=False, capture_output=True, timeout=_TIMEOUT, cwd="/", stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(f"mmdebstrap did not end within {_TIMEOUT} s") from error
    if done.returncode != 0:
        raise HostError(f"mmdebstrap failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
