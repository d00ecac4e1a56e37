"""The images in a Docker Engine's own store."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from stackyard.host.containers.archive_names import renamed
from stackyard.host.containers.docker_create import is_image_name
from stackyard.host.containers.docker_http import DockerHTTP, error_message, raise_for_status
from stackyard.host.containers.docker_observe import image_observation, pull_error
from stackyard.host.containers.os_errors import told
from stackyard.host.containers.streams import json_lines
from stackyard.host.errors import HostError, NotFoundError, SpecError
from stackyard.host.specs import ImageObservation


class DockerImages:
    """Find, pull, load, save and remove images; remembers in `record` the names that it brought in."""

    def __init__(self, http: DockerHTTP, record: Path) -> None:
        self._http = http
        self._record = record
        self._lock = threading.Lock()

    def find(self, name: str) -> ImageObservation | None:
        if not is_image_name(name):
            return None
        reply = self._http.request("GET", f"/images/{name}/json")
        if reply.status == 404:
            return None
        raise_for_status(reply.status, reply.body)
        return image_observation(reply.json())

    def all(self) -> list[ImageObservation]:
        return [image_observation(entry) for entry in self._http.call("GET", "/images/json")]

    def pull(self, name: str, username: str | None, password: str | None) -> ImageObservation:
        repository, tag = split_name(name)
        headers = {}
        if username is not None:
            login = {"username": username, "password": password or ""}
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(msgspec.json.encode(login)).decode()
        query, new = {"fromImage": repository, "tag": tag}, self.find(name) is None
        with self._http.stream("POST", "/images/create", query, headers=headers) as reply:
            if reply.status >= 400:
                raise pull_error(name, error_message(b"".join(reply.chunks())))
            for line in json_lines(reply.chunks()):
                if "error" in line:
                    raise pull_error(name, str(line["error"]))
        if new:
            self._remember(_with_tag(name))
        return self._found(name)

    def load(self, archive: BinaryIO, name: str) -> ImageObservation:
        if "@" in name:
            raise SpecError(f"an image cannot be given a name with a digest: {name}")
        tagged, loaded, new = _with_tag(name), False, self.find(name) is None
        with self._http.stream("POST", "/images/load", {"quiet": True}, renamed(archive, tagged)) as reply:
            if reply.status >= 400:
                raise SpecError(f"the image {name} cannot be loaded: {error_message(b''.join(reply.chunks()))}")
            for line in json_lines(reply.chunks()):
                if "error" in line:
                    raise SpecError(f"the image {name} cannot be loaded: {line['error']}")
                loaded = loaded or str(line.get("stream", "")).startswith("Loaded image")
        if not loaded:
            raise SpecError(f"the image {name} cannot be loaded: the archive holds no image with a manifest.json")
        if new:
            self._remember(tagged)
        return self._found(name)

    def save(self, name: str) -> Iterator[bytes]:
        found = self._found(name)
        return self._saved(name if found.names else found.id)

    def _saved(self, name: str) -> Iterator[bytes]:
        with self._http.stream("GET", f"/images/{name}/get") as reply:
            reply.check()
            yield from reply.chunks()

    def remove(self, name: str, *, force: bool = False) -> None:
        reply = self._http.request("DELETE", f"/images/{_checked(name)}", {"force": force}, timeout=120)
        if reply.status != 404:
            raise_for_status(reply.status, reply.body)

    def purge(self) -> None:
        """Remove the names that were brought in; an image that others use stays under its other names."""
        for name in self._remembered():
            try:
                self.remove(name)
            except HostError:
                continue
        self._record.unlink(missing_ok=True)

    def _found(self, name: str) -> ImageObservation:
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"the engine has no image {name}")
        return found

    def _remember(self, name: str) -> None:
        """Only names that were not there before: one that was is somebody else's, and outlives us."""
        with self._lock, told(f"record the image {name}"):
            if name not in self._remembered():
                self._record.parent.mkdir(parents=True, exist_ok=True)
                with self._record.open("a") as record:
                    record.write(f"{name}\n")

    def _remembered(self) -> list[str]:
        try:
            return self._record.read_text().splitlines()
        except FileNotFoundError:
            return []


def split_name(name: str) -> tuple[str, str]:
    """An image's name as repository and tag (or digest); the tag is `latest` when none is given."""
    _checked(name)
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    head, _, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}/{repository}" if head else repository, tag or "latest"


def _with_tag(name: str) -> str:
    repository, tag = split_name(name)
    return f"{repository}{'@' if '@' in name else ':'}{tag}"


def _checked(name: str) -> str:
    if not is_image_name(name):
        raise SpecError(f"not an image name: {name!r}")
    return name
