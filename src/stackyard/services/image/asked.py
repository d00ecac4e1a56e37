"""The image API asked by another service on behalf of a caller (Nova's old proxies), in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.inner import Inner
from stackyard.core.routes import Service, Trie
from stackyard.services.image import patch

_ATTRIBUTES = frozenset(
    {
        "name", "disk_format", "container_format", "visibility", "size", "virtual_size", "status", "checksum",
        "protected", "min_ram", "min_disk", "owner", "os_hidden", "os_hash_algo", "os_hash_value", "id", "created_at",
        "updated_at", "tags", "self", "file", "schema", "stores", "locations", "direct_url",
    }
)  # fmt: skip


@cache
def _routes() -> tuple[Service, Trie]:
    from stackyard.services import image  # whose package imports this module

    return image.SERVICE, Trie(image.ROUTES)


def _inner(call: Call) -> Inner:
    return Inner(*_routes(), call.runtime, call.caller)


def ask(tx: Transaction, call: Call, method: str, path: str, *, query: Iterable[tuple[str, str]] = ()) -> Any:
    """What the API answers the caller of `call` at `path` (`/v2/images`); raises Glance's faults."""
    return _inner(call).ask(tx, method, path, query=query)


def properties_of(image: Mapping[str, Any]) -> dict[str, str]:
    """Those of an image's fields, as the API shows it, that are properties and not attributes."""
    return {name: value for name, value in image.items() if name not in _ATTRIBUTES}


def change_properties(
    tx: Transaction, call: Call, image_id: str, values: Mapping[str, str], removed: Iterable[str] = ()
) -> dict[str, str]:
    """Set and remove an image's properties as the caller of `call`; those that it has then. Raises Glance's faults."""
    inner = _inner(call).prepare(tx, "PATCH", f"/v2/images/{image_id}", body=[])
    document = [{"op": "remove", "path": _pointer(name)} for name in removed]
    document += [{"op": "add", "path": _pointer(name), "value": value} for name, value in values.items()]
    return properties_of(patch.apply(tx, inner, patch.parse(patch.RFC, document)))


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
