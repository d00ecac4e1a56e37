"""Metadata of volumes and snapshots: keys and values of their owners', read and changed one by one or all at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound, PreconditionFailed
from stackyard.core.routes import Route
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.volumes.bodies import AllMetadata, OneMetadata

_UNCHANGEABLE = (statuses.MAINTENANCE, statuses.UPLOADING)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The calls of one noun: `word` is Volume or Snapshot, `kind` that of its tasks. Volumes have ETags since 3.15."""

    word: str
    kind: str

    def index(self, tx: Transaction, call: Call) -> Any:
        """GET .../metadata."""
        del tx
        body = {"metadata": call.target.metadata}
        if self._has_tags(call):
            return Reply(body, headers={"Etag": _tag(call.target.metadata)})
        return body

    def show(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """GET .../metadata/{key}."""
        del tx
        return {"meta": {call.path["key"]: self._item(call)}}

    def create(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """POST .../metadata: what is given is added."""
        return {"metadata": self._write(tx, call, call.target.metadata | call.body.metadata)}

    def replace(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """PUT .../metadata: what is given is all there is."""
        self._require_match(call)
        return {"metadata": self._write(tx, call, dict(call.body.metadata))}

    def update(self, tx: Transaction, call: Call) -> dict[str, Any]:
        """PUT .../metadata/{key}."""
        self._require_match(call)
        if call.path["key"] not in call.body.meta:
            raise BadRequest("Request body and URI mismatch")
        self._write(tx, call, call.target.metadata | call.body.meta)
        return {"meta": call.body.meta}

    def delete(self, tx: Transaction, call: Call) -> Reply:
        """DELETE .../metadata/{key}."""
        self._item(call)
        self._write(tx, call, {key: value for key, value in call.target.metadata.items() if key != call.path["key"]})
        return Reply(status=200)

    def _item(self, call: Call) -> str:
        found = call.target.metadata.get(call.path["key"])
        if found is None:
            raise NotFound(
                f"{self.word} {call.target.id} has no metadata with key {call.path['key'][:255]}.",
                kind=f"{self.word}MetadataNotFound",
            )
        return str(found)

    def _has_tags(self, call: Call) -> bool:
        return self.kind == tasks.VOLUME and call.since(3, 15)

    def _require_match(self, call: Call) -> None:
        wanted = call.request.headers.get("if-match")
        if wanted is None or not self._has_tags(call) or wanted.strip() == "*":
            return
        if _tag(call.target.metadata) not in [one.strip().strip('"') for one in wanted.split(",")]:
            raise PreconditionFailed("The metadata has been changed meanwhile: it is not what If-Match names.")

    def _write(self, tx: Transaction, call: Call, metadata: dict[str, str]) -> dict[str, str]:
        if self.kind == tasks.VOLUME and call.target.status in _UNCHANGEABLE:
            raise BadRequest(
                f"Invalid volume: Updating volume metadata is not allowed for volumes in {call.target.status} status.",
                kind="InvalidVolume",
            )
        tasks.update(tx, call.target.id, kind=self.kind, metadata=metadata)
        timeline.record(tx, self.kind, call.target.id, "metadata changed")
        return metadata


def _tag(metadata: Mapping[str, str]) -> str:
    return hashlib.md5(msgspec.json.encode({"metadata": metadata}), usedforsecurity=False).hexdigest()


def routes(
    noun: Metadata, path: str, rules: Mapping[str, str], load: Callable[[Transaction, Call], Any]
) -> tuple[Route, ...]:
    """The routes of a noun's metadata; `rules` by get, create, update and delete."""
    item = f"{path}/{{key}}"
    return (
        Route("GET", path, noun.index, rules["get"], target=load),
        Route("POST", path, noun.create, rules["create"], target=load, body=AllMetadata),
        Route("PUT", path, noun.replace, rules["update"], target=load, body=AllMetadata),
        Route("GET", item, noun.show, rules["get"], target=load),
        Route("PUT", item, noun.update, rules["update"], target=load, body=OneMetadata),
        Route("DELETE", item, noun.delete, rules["delete"], target=load),
    )
