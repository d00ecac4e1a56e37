"""What a cloud leaves on a machine, found without asking it: for looking that nothing is left."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path


def traces(cloud_id: str, directory: Path, public_cidr: str) -> list[str]:
    """Everything that names the cloud or its directory, in words."""
    marks = (cloud_id, str(directory))
    found = [f"namespace {path.name}" for path in Path("/run/netns").glob(f"*{cloud_id}*")]
    found += [f"directory {path}" for path in (Path("/run/stackyard") / cloud_id,) if path.exists()]
    for link in json.loads(_output("ip", "-json", "-details", "link")):
        if cloud_id in link.get("ifalias", "") or link["ifname"].startswith(f"sy{cloud_id[:6]}"):
            found.append(f"link {link['ifname']}")
    for route in json.loads(_output("ip", "-json", "route", "show", "table", "all")):
        if route["dst"] == public_cidr:
            found.append(f"route {route}")
    found += [f"table {line}" for line in _output("nft", "list", "tables").splitlines() if cloud_id in line]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [f"mount {line}" for line in mounts if any(mark in line for mark in marks)]
    return found + [f"process {line}" for line in processes(*marks)]


def processes(*marks: str) -> list[str]:
    """Processes whose arguments contain one of the texts: number and arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if any(mark in words for mark in marks):
            found.append(f"{path.parent.name} {words}")
    return found


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
