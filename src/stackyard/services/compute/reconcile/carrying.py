"""A stopped server's files, carried from the host that it leaves to the one that it goes to, which fetches them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec

from stackyard.core.reconcile import GiveUp
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines.moving import Moving, Parcel, mover
from stackyard.host.specs import MachineImage, MachineSpec
from stackyard.services import keys
from stackyard.services.compute import migrations
from stackyard.services.compute.peers import PEERS, Call, Handler
from stackyard.services.compute.peers.stream import Stream
from stackyard.services.compute.reconcile import outcome
from stackyard.services.compute.reconcile.job import Job

_COLD = ("resize", "migration")


def fetch(job: Job, move: Any) -> Parcel:
    """Have the server's parts here, going on where an interrupted attempt ended."""
    mine, peers, source = mover(job.driver), job.runtime[PEERS], move.source_compute
    if not (move.details or {}).get("cleared"):
        job.driver.remove(job.id)  # whatever an earlier stay has left here is no part of this move
        cleared = {**(move.details or {}), "cleared": True}
        job.runtime.database.write("move.cleared", lambda tx: migrations.update(tx, move.uuid, details=cleared))
    parcel = msgspec.convert(peers.ask(source, move.uuid, "parcel"), Parcel)
    _fetch_parts(job, move, mine, parcel)
    return parcel


def images(job: Job, move: Any, wanted: MachineSpec) -> None:
    """Have the server's images here: by the image service, or else, if that has no data of one, from its own host."""
    image = wanted.image
    if image is None:
        return
    parts = [MachineImage(one, form, form) for one, form in ((image.kernel, "aki"), (image.ramdisk, "ari")) if one]
    for one in (*parts, image):
        try:
            job.load(one)
        except (GiveUp, HostError) as error:
            _fetch_image(job, move, one, str(error))


def _fetch_image(job: Job, move: Any, image: MachineImage, reason: str) -> None:
    mine, alone = mover(job.driver), msgspec.structs.replace(image, kernel=None, ramdisk=None)
    if job.driver.has_image(alone):
        return
    try:
        found = job.runtime[PEERS].ask(move.source_compute, move.uuid, "image", id=image.id)
    except HostError as error:
        raise HostError(f"{reason} Host {move.source_compute} does not give it either: {error}") from error
    parcel = msgspec.convert(found, Parcel)
    _fetch_parts(job, move, mine, parcel)
    mine.unpack_image(job.id, alone, parcel)


def _fetch_parts(job: Job, move: Any, mine: Moving, parcel: Parcel) -> None:
    peers, source = job.runtime[PEERS], move.source_compute
    for part in parcel.parts:
        path = mine.arriving(job.id, part.name)
        begin = path.stat().st_size if path.exists() else 0
        if begin > part.size:
            path.unlink()
            begin = 0
        if begin < part.size or not path.exists():
            with peers.asking(source, move.uuid, "part", name=part.name, begin=begin) as (_, stream):
                stream.receive_file(path)


def _parcel(runtime: Runtime, call: Call, stream: Stream) -> None:
    driver = _driver(runtime, call)
    stream.answer(msgspec.to_builtins(driver.pack(call.move.server_id)))


def _image(runtime: Runtime, call: Call, stream: Stream) -> None:
    image_id = call.arguments.get("id")
    if not isinstance(image_id, str):
        raise SpecError("an image is asked for by its id")
    driver = _driver(runtime, call)
    stream.answer(msgspec.to_builtins(driver.pack_image(call.move.server_id, image_id)))


def _part(runtime: Runtime, call: Call, stream: Stream) -> None:
    name, begin = call.arguments.get("name"), call.arguments.get("begin")
    if not isinstance(name, str) or not isinstance(begin, int) or begin < 0:
        raise SpecError("a part is asked for by its name, from an offset on")
    with _driver(runtime, call).open_part(call.move.server_id, name) as source:
        stream.answer({})
        with suppress(HostError):  # the other end went away: it asks again
            stream.send_file(source, begin)


def _driver(runtime: Runtime, call: Call) -> Moving:
    """The driver of the server that the move is about, which has left this host for the caller's."""
    row = runtime.database.read("peer.server", outcome.read, call.move.server_id)
    here = runtime[keys.HOST_NAME]
    live = call.move.migration_type == "live-migration"
    if row is None or row.deleted_at is not None or call.move.source_compute != here:
        raise SpecError("the server does not leave this host")
    if row.host != (here if live else call.caller) or call.move.migration_type not in (*_COLD, "live-migration"):
        raise SpecError("the server has not left this host for the one that asks")
    name = str(call.arguments.get("name", ""))
    if live and call.arguments.keys() != {"id"} and not name.startswith("image"):
        raise SpecError("the server moves while it runs: its files are not handed out")
    found = runtime[keys.MACHINES].get(row.kind)
    if found is None:
        raise HostError(f"this host runs no servers of the kind {row.kind}")
    return mover(found)


HANDLERS: dict[str, Handler] = {"parcel": _parcel, "part": _part, "image": _image}
"""What hosts answer about servers that have left them."""
