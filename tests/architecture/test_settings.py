"""Every setting that is offered does something: it is read somewhere outside the module that declares it."""

from __future__ import annotations

import re

from tests.architecture.sources import files

from stackyard.core import config


def test_every_setting_is_read() -> None:
    others = "\n".join(
        path.read_text(encoding="utf-8")
        for path in files("src")
        if path.suffix == ".py" and path.parts[-2:] != ("core", "config.py")
    )
    unread = [info.key for info in config.describe() if not re.search(rf"\b{info.key.split('.')[1]}\b", others)]
    assert not unread, f"nothing reads {', '.join(unread)}"
