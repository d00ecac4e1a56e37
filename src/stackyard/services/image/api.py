"""What other services may ask of images: find one, its data's path, make one from a stream or a file at hand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids, reconcile, timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.runtime import Runtime
from stackyard.services.image import bodies, images, store, tables, upload
from stackyard.services.image.asked import ask, change_properties, properties_of
from stackyard.services.image.delivery import deliver
from stackyard.services.image.download import open_image
from stackyard.services.image.formats import FormatRefused, Rules
from stackyard.services.image.metadefs.catalogue import load as load_metadefs
from stackyard.services.image.properties import check_files, require_count
from stackyard.services.image.reconcile import reconcilers, sweep
from stackyard.services.image.snapshots import declare, find_any, reserve_snapshot, snapshots_of
from stackyard.services.image.store import Content, Incoming, images_dir
from stackyard.services.image.stores.files import FileSource
from stackyard.services.image.stores.registry import stores_of

__all__ = [
    "ask",
    "change_properties",
    "check_files",
    "declare",
    "discard_image",
    "find_any",
    "find_image",
    "image_file",
    "image_path",
    "images_dir",
    "load_metadefs",
    "properties_of",
    "reconcilers",
    "register_file",
    "reserve_image",
    "reserve_snapshot",
    "snapshots_of",
    "store_image",
    "sweep",
]

_i, _m = tables.images.c, tables.members.c
_BY_NAME = (
    sa.select(tables.images)
    .where(
        _i.name == bindparam("name"),
        sa.or_(
            bindparam("admin", type_=sa.Boolean).is_(sa.true()),
            _i.project_id == bindparam("caller"),
            _i.visibility.in_(("public", "community")),
            sa.and_(
                _i.visibility == "shared",
                _i.id.in_(sa.select(_m.image_id).where(_m.member_id == bindparam("caller"), _m.status == "accepted")),
            ),
        ),
    )
    .order_by(_i.created_at.desc())
)
_PUBLIC = sa.select(tables.images).where(
    _i.name == bindparam("name"), _i.visibility == "public", _i.os_hash_value == bindparam("digest")
)


def find_image(tx: Transaction, caller: Caller, name_or_id: str) -> Mapping[str, Any]:
    """An image that the caller may see, by id or else by name: the columns of its row.

    `status` is active when it can be used; `container_format`, `disk_format`, `size`, `checksum`, `os_hash_value`
    (sha512), `properties`, `min_disk`, `min_ram` are as the API has them. Raises NotFound; Conflict when several
    images have the name (the caller's own are preferred over others').
    """
    if ids.is_uuid(name_or_id):
        try:
            return images.visible(tx, caller, name_or_id)
        except NotFound:
            pass  # a name may look like an id
    rows: list[Any] = []
    if "\0" not in name_or_id:
        values = {"name": name_or_id, "caller": caller.project_id or "", "admin": caller.is_admin}
        rows = list(tx.all(_BY_NAME, values))
    own = [row for row in rows if row.project_id == caller.project_id]
    rows = own or rows
    if not rows:
        raise NotFound(f"Image {name_or_id[:255]} could not be found.", kind="ImageNotFound")
    if len(rows) > 1:
        raise Conflict(
            f"There are {len(rows)} images named {name_or_id[:255]}; use one of their ids: "
            f"{', '.join(row.id for row in rows[:5])}.",
            kind="ImageNotUnique",
        )
    return dict(rows[0]._mapping)


def image_path(runtime: Runtime, image_id: str) -> Path:
    """The file of an active image's data, when it is in a store of files; `image_file` opens any image's."""
    row = runtime.database.read("image.path", tables.find, image_id)
    held = set() if row is None else {location["store"] for location in tables.locations_of(row)}
    files = stores_of(runtime).file_stores
    return next((found for found in files if found.info.id in held), files[0]).path(image_id)


@contextmanager
def image_file(runtime: Runtime, image_id: str) -> Iterator[BinaryIO]:
    """An active image's data as an open file, fetched to this host first when it lies elsewhere; blocks.

    Raises NotFound and ServiceUnavailable when no store gives it, BadRequest when it is not what the image says (what
    a client named a location of has not been looked at before), OSError.
    """
    source = open_image(runtime, image_id)
    try:
        if isinstance(source, FileSource):
            with source.file() as file:
                yield file
            return
        with tempfile.TemporaryFile(dir=images_dir(runtime) / "incoming") as file:
            position = 0
            while block := source.read(position, store.BLOCK_BYTES):
                file.write(block)
                position += len(block)
            file.seek(0)
            _require_sound(runtime, image_id, file)
            yield file
    finally:
        source.close()


def _require_sound(runtime: Runtime, image_id: str, file: BinaryIO) -> None:
    row = runtime.database.read("image.file", tables.find, image_id)
    if row is None:
        raise NotFound(f"Image {image_id} has been deleted.", kind="ImageNotFound")
    try:
        store.inspect_file(file.fileno(), row.disk_format, row.container_format, Rules.of(runtime.settings.image))
    except FormatRefused as error:
        raise BadRequest(f"The data of image {image_id} is refused: {error}", kind="InvalidImageData") from error


def reserve_image(
    tx: Transaction,
    runtime: Runtime,
    caller: Caller,
    *,
    name: str,
    container_format: str = "docker",
    disk_format: str = "raw",
    properties: Mapping[str, str] | None = None,
    visibility: str = "private",
    protected: bool = False,
) -> str:
    """Make a queued image of the caller's, for `store_image` to fill; its id. Raises TooLarge (quota), BadRequest."""
    given = bodies.attributes({
        "name": name, "container_format": container_format, "disk_format": disk_format, "visibility": visibility,
        "protected": protected,
    })  # fmt: skip
    kept = {key: bodies.check_property(key, value) for key, value in (properties or {}).items()}
    require_count(runtime, kept)
    image_id = ids.new_uuid()
    owner = caller.project_id
    images.count(tx, runtime, owner)
    tables.insert(tx, images.new_row(tx, image_id, owner, given, kept))
    timeline.record(tx, images.KIND, image_id, "create asked", name)
    return image_id


def store_image(runtime: Runtime, image_id: str, chunks: Iterable[bytes]) -> None:
    """Fill a reserved image and make it active; blocks, so it is for reconcilers. May be run again after a crash.

    An image that is active already stays as it is. Raises NotFound when it was deleted, Conflict while another upload
    is at work, BadRequest when the data is not what was declared, OSError; the image is queued then, not active.
    """
    row = runtime.database.read("image.store", tables.find, image_id)
    if row is None:
        raise NotFound(f"Image {image_id} has been deleted.", kind="ImageNotFound")
    if row.status in ("active", "deactivated"):
        return
    if row.status == "saving" and not store.is_being_written(runtime, image_id, row.upload):
        runtime.database.write("image.upload.died", upload.requeue, image_id, row.upload, "saving", "broken off")
    token = ids.new_hex()
    runtime.database.write("image.upload.begin", upload.begin, image_id, token, "saving")
    try:
        chosen = stores_of(runtime).default
        with Incoming(runtime, image_id, token, store.incoming_dir(runtime, chosen)) as incoming:
            store.feed_all(incoming, chunks)
            upload.complete(runtime, row._mapping, token, incoming, chosen)
    except BaseException as error:
        upload.fail(runtime, image_id, token, "saving", error)
        if isinstance(error, FormatRefused):
            raise BadRequest(str(error), kind="InvalidImageData") from error
        raise


def discard_image(tx: Transaction, runtime: Runtime, image_id: str) -> None:
    """Forget an image that was reserved and could not be filled; no error when it is gone."""
    row = tables.find(tx, image_id)
    if row is None:
        return
    images.forget(tx, runtime, row._mapping)


def register_file(
    runtime: Runtime,
    path: Path,
    *,
    name: str,
    container_format: str = "docker",
    disk_format: str = "raw",
    project_id: str | None = None,
    properties: Mapping[str, str] | None = None,
) -> str:
    """Make a local file a public image, linked into the store where that is possible and copied otherwise; its id.

    The file must not be changed in place afterwards. An image of the same name and content is left as it is. Blocks
    for as long as hashing takes. Raises BadRequest when the file is not what is declared, OSError.
    """
    content = store.digest_file(path)
    present = runtime.database.read("image.present", _present, name, content)
    if present is not None:
        return present
    image_id, token = ids.new_uuid(), ids.new_hex()
    try:
        with store.take_file(runtime, image_id, token, path) as incoming:
            inspected = incoming.inspect(disk_format, container_format)
            given = {"name": name, "container_format": container_format, "disk_format": disk_format}
            after = given | {"visibility": "public"} | upload.active_columns(content, inspected)

            def record(tx: Transaction, location: dict[str, Any]) -> bool:
                _register(tx, runtime, image_id, project_id, after | {"locations": [location]}, properties or {})
                return True

            chosen = stores_of(runtime).default
            deliver(runtime, image_id, token, store_id=chosen, path=incoming.path, record=record)
    except FormatRefused as error:
        raise BadRequest(f"{path.name}: {error}", kind="InvalidImageData") from error
    return image_id


def _present(tx: Transaction, name: str, content: Content) -> str | None:
    row = tx.first(_PUBLIC, {"name": name, "digest": content.sha512})
    return None if row is None else str(row.id)


def _register(
    tx: Transaction,
    runtime: Runtime,
    image_id: str,
    project_id: str | None,
    values: Mapping[str, Any],
    properties: Mapping[str, str],
) -> None:
    images.count(tx, runtime, project_id)
    tables.insert(tx, images.new_row(tx, image_id, project_id, values, properties))
    timeline.record(tx, images.KIND, image_id, "registered", f"{values['size']} bytes")
    reconcile.mark(tx, images.KIND, image_id)
