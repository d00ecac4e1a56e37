"""Writes a container image as a `docker save` archive: a manifest, a configuration and one layer. Deterministic."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

# One fixed moment in every image, so that equal content has an equal digest.
EPOCH = 1700000000
_CREATED = "2023-11-14T22:13:20Z"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_BLOCK = 1 << 20


def write_archive(target: BinaryIO, names: tuple[str, ...], layer: Path, config: Mapping[str, Any]) -> None:
    """Write the archive of an image with these names (tags), one uncompressed layer tar, and this configuration.

    `config` is what stands under "config" in an image: Cmd, Entrypoint, Env, ExposedPorts, WorkingDir, StopSignal ...
    """
    digest = _sha256(layer)
    machine = platform.machine()
    document = msgspec.json.encode(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "created": _CREATED,
            "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": _CREATED, "created_by": "stackyard bake"}],
        },
        order="sorted",
    )
    config_name = f"{hashlib.sha256(document).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": list(names), "Layers": [layer_name]}]
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as archive:
        with layer.open("rb") as content:
            archive.addfile(entry(layer_name, layer.stat().st_size), content)
        add_bytes(archive, config_name, document)
        add_bytes(archive, "manifest.json", msgspec.json.encode(manifest))


def entry(name: str, size: int = 0, mode: int = 0o644) -> tarfile.TarInfo:
    """A regular file's header, owned by root."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime, info.uname, info.gname = size, mode, EPOCH, "root", "root"
    return info


def add_bytes(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    """Add a regular file with this content."""
    archive.addfile(entry(name, len(data), mode), io.BytesIO(data))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
