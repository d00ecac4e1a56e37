"""The config drive: a small file system, labelled config-2, with what a guest would ask the metadata service for."""

from __future__ import annotations

import io
from pathlib import Path

from stackyard.host import image_tool
from stackyard.host.errors import SpecError

_LABEL = "config-2"


def write_config_drive(path: Path, files: dict[str, bytes], uid: int) -> None:
    """Write the drive: ISO 9660 with the names that Linux (Rock Ridge) and Windows (Joliet) read."""
    from pycdlib.pycdlib import PyCdlib
    from pycdlib.pycdlibexception import PyCdlibException

    disc = PyCdlib()
    fresh = path.with_name(f".{path.name}")
    try:
        disc.new(interchange_level=4, joliet=3, rock_ridge="1.09", vol_ident=_LABEL, sys_ident="LINUX")
        for directory in _directories(files):
            disc.add_directory(
                f"/{_plain(directory)}", rr_name=directory.rpartition("/")[2], joliet_path=f"/{directory}"
            )
        for name, content in sorted(files.items()):
            clean = _clean(name)
            disc.add_fp(
                io.BytesIO(content), len(content), f"/{_plain(clean)}",
                rr_name=clean.rpartition("/")[2], joliet_path=f"/{clean}",
            )  # fmt: skip
        image_tool.make_file(fresh, uid)
        with fresh.open("r+b") as file:
            disc.write_fp(file)
    except PyCdlibException as error:
        raise SpecError(f"the config drive cannot be written: {error}") from error
    finally:
        disc.close()
    fresh.replace(path)


def _clean(name: str) -> str:
    parts = [part for part in name.split("/") if part]
    if not parts or any(part in (".", "..") for part in parts):
        raise SpecError(f"{name!r} is no name for a file of the config drive")
    return "/".join(parts)


def _plain(name: str) -> str:
    """The name for readers that know neither extension."""
    return name.upper()


def _directories(files: dict[str, bytes]) -> list[str]:
    found = set()
    for name in files:
        parts = _clean(name).split("/")[:-1]
        found |= {"/".join(parts[: depth + 1]) for depth in range(len(parts))}
    return sorted(found)
