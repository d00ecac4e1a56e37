"""A server's spec as a container's, and the files that lie in it when it first starts. Pure functions."""

from __future__ import annotations

import io
import posixpath
import tarfile
from pathlib import Path

from stackyard.host.errors import SpecError
from stackyard.host.specs import BindMount, ContainerSpec, MachineImage, MachineSpec, MachineVolume

INIT = "/sbin/init"

ROOTFS = "rootfs"
"""The container format of images that are the files of a system."""

USER_DATA = "/var/lib/cloud/seed/nocloud/user-data"
META_DATA = "/var/lib/cloud/seed/nocloud/meta-data"
"""Where cloud-init looks for what it was given without a network."""

# By the second cloud-init knows, in a container, that there is OpenStack's metadata service.
_SYSTEM_ENVIRONMENT = {"container": "docker", "product_name": "OpenStack Nova"}
_SYSTEM_TMPFS = ("/run", "/run/lock", "/tmp")  # noqa: S108  inside of the container


def image_name(image: MachineImage) -> str:
    """The image's name in the engine's store."""
    return f"stackyard-server:{image.id}"


def limits(spec: MachineSpec) -> tuple[int, int]:
    """What of a container may change while it runs: its memory and its CPUs."""
    return spec.memory, spec.vcpus


def moved_name(machine_id: str) -> str:
    """The name of the image of a server's files, as it came from another host."""
    return f"stackyard-server:moved-{machine_id}"


def container_spec(spec: MachineSpec, links: Path) -> ContainerSpec:
    """What the engine is told; `links` has a link to each of its volumes. Raises SpecError."""
    if spec.image is None:
        raise SpecError("a container starts from an image, not from a volume")
    if spec.rescue is not None:
        raise SpecError("a container cannot be rescued: nothing of it needs a boot loader")
    for volume in spec.volumes:
        require_target(volume)
    system = spec.kind == "system"
    return ContainerSpec(
        id=spec.id,
        image=image_name(spec.image),
        command=spec.command or ((INIT,) if system else None),
        environment=environment(spec.environment) | (_SYSTEM_ENVIRONMENT if system else {}),
        hostname=spec.hostname or None,
        memory=spec.memory or None,
        cpus=float(spec.vcpus),
        disk=spec.root_disk << 10 or None,
        tty=system,
        interactive=system,
        tmpfs=_SYSTEM_TMPFS if system else (),
        mounts=tuple(
            BindMount(source=str(links / volume.id), target=volume.target, read_only=volume.read_only)
            for volume in spec.volumes
        ),
        dns_servers=spec.dns_servers,
        dns_search=spec.dns_search,
        hosts=spec.hosts,
    )


def require_target(volume: MachineVolume) -> None:
    """Raise SpecError for a volume that has no place in a container."""
    if not volume.target.startswith("/") or volume.target == "/":
        raise SpecError(f"a volume needs a directory in a container, not {volume.target!r}")


def environment(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata as variables; what cannot be the name or value of one is left out."""
    fine = {name: value for name, value in metadata.items() if name and "=" not in name}
    return {name: value for name, value in fine.items() if "\0" not in name + value}


def first_files(spec: MachineSpec) -> bytes:
    """A tar of the files to be put in: those asked for, the user data; empty when there are none."""
    files = {posixpath.normpath(f"/{path}"): content for path, content in spec.files.items()}
    # A whole system asks for its metadata, which has keys too: cloud-init would take these for all there is.
    if spec.user_data and spec.kind != "system":
        files[USER_DATA] = spec.user_data
        files[META_DATA] = f"instance-id: {spec.id}\nlocal-hostname: {spec.hostname}\n".encode()
    if not files:
        return b""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o600 if path == USER_DATA else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()
