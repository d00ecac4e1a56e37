"""What a recipe says."""

from __future__ import annotations

from typing import Any

import msgspec

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class User(msgspec.Struct, frozen=True):
    """A user and the group of the same name and number."""

    name: str
    id: int
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """One image. Paths have no leading slash.

    `packages` come with their dependencies, but for those that match a pattern in `without`; `bare` ones come alone;
    `a|b` takes the first that the release has. `drop` are patterns of paths to leave out. `files` starting with #! are
    executable. `links` are symbolic; a `*` in a destination is resolved among the unpacked paths. `config` is the
    image's own (Cmd, Env ...).
    """

    name: str
    packages: tuple[str, ...]
    bare: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    directories: dict[str, User | None] = {}
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    config: dict[str, Any] = {}
