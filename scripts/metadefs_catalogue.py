"""Makes src/stackyard/services/image/metadefs/catalogue.json from a distribution of Glance.

    .venv/bin/python scripts/metadefs_catalogue.py glance-33.0.0.tar.gz
    .venv/bin/python scripts/metadefs_catalogue.py /path/to/etc/metadefs 33.0.0

`pip download --no-binary :all: --no-deps glance` gets the archive. One namespace a line, sorted by name, so that what
a newer Glance changes can be read in a diff.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "src/stackyard/services/image/metadefs/catalogue.json"


def documents(source: Path) -> Iterator[dict[str, Any]]:
    """Every namespace's definition in a folder, or in an archive's etc/metadefs."""
    if source.is_dir():
        yield from (json.loads(path.read_text(encoding="utf-8")) for path in source.glob("*.json"))
        return
    with tarfile.open(source) as archive:
        for member in archive.getmembers():
            if re.fullmatch(r"[^/]+/etc/metadefs/[^/]+\.json", member.name):
                content = archive.extractfile(member)
                if content is not None:
                    yield json.load(content)


def version_of(arguments: list[str]) -> str:
    """The version of Glance: given, or in the archive's name."""
    if len(arguments) == 2:
        return arguments[1]
    found = re.search(r"glance-([0-9][^/]*)\.tar\.gz$", arguments[0])
    return found[1] if found else sys.exit("say the version of Glance after the folder")


def main() -> None:
    """Write the catalogue."""
    arguments = sys.argv[1:]
    if len(arguments) not in (1, 2):
        sys.exit(__doc__)
    found = sorted(documents(Path(arguments[0])), key=lambda document: str(document["namespace"]))
    if not found:
        sys.exit(f"{arguments[0]} holds no etc/metadefs/*.json")
    lines = ",\n".join(json.dumps(document, separators=(",", ":"), ensure_ascii=False) for document in found)
    source = json.dumps(f"OpenStack Glance {version_of(arguments)}, etc/metadefs/*.json, Apache License 2.0")
    TARGET.write_text(f'{{"source":{source},"namespaces":[\n{lines}\n]}}\n', encoding="utf-8")
    print(f"wrote {len(found)} namespaces to {TARGET}")


if __name__ == "__main__":
    main()
