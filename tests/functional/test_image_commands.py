"""Every image command of the openstack client, each tried on a real cloud; the client says which there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine_fixture import wait_until
from tests.functional.every_command import EveryCommand
from tests.functional.real_cloud import RealCloud

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(180)]

DATA = b"not much, but real\n" * 1000
RAW = ("--disk-format", "raw", "--container-format", "bare")


@pytest.fixture(scope="module")
def run(real_cloud: RealCloud) -> EveryCommand:
    return EveryCommand(real_cloud, "openstack.image.v2")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file to upload."""
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def image(run: EveryCommand, data: Path) -> Iterator[str]:
    """The id of an image with data, of the project demo."""
    made = run.look("image", "create", "commands", *RAW, "--file", str(data), "--shared", cloud="stackyard")["id"]
    yield made
    run("image", "delete", made, cloud="stackyard")


def test_the_life_of_an_image(run: EveryCommand, image: str, tmp_path: Path) -> None:
    assert image in run.column("image", "list", name="ID", cloud="stackyard")
    run("image", "set", image, "--name", "renamed", "--tag", "one", "--property", "colour=blue", cloud="stackyard")
    shown = run.look("image", "show", image, cloud="stackyard")
    assert (shown["name"], shown["tags"], shown["properties"]["colour"]) == ("renamed", ["one"], "blue")
    run("image", "unset", image, "--tag", "one", "--property", "colour", cloud="stackyard")
    shown = run.look("image", "show", image, cloud="stackyard")
    assert (shown["tags"], "colour" in shown["properties"]) == ([], False)
    run("image", "save", image, "--file", str(tmp_path / "copy"), cloud="stackyard")
    assert (tmp_path / "copy").read_bytes() == DATA
    run("image", "set", image, "--deactivate")
    assert run.ends("image", "save", image, "--file", str(tmp_path / "no"), cloud="stackyard").status != 0
    run("image", "set", image, "--activate")


def test_sharing(run: EveryCommand, image: str) -> None:
    project = run.cloud.look("project", "show", "admin", cloud="stackyard-admin")["id"]
    run("image", "add", "project", image, project, cloud="stackyard")
    run("image", "set", image, "--project", project, "--accept")
    assert run.look("image", "member", "get", image, project)["status"] == "accepted"
    assert run.column("image", "member", "list", image, name="Member ID", cloud="stackyard") == {project}
    run("image", "remove", "project", image, project, cloud="stackyard")
    assert run.look("image", "member", "list", image, cloud="stackyard") == []


def test_stage_and_import(run: EveryCommand, data: Path) -> None:
    info = run.look("image", "import", "info")
    assert "glance-direct" in str(info)
    made = run.look("image", "create", "staged", *RAW)["id"]
    run("image", "stage", made, "--file", str(data))
    run("image", "import", made, "--method", "glance-direct")
    wait_until(lambda: run.look("image", "show", made)["status"] == "active", "the import has ended")
    task = run.column("image", "task", "list", name="ID")
    assert any(run.look("image", "task", "show", each)["status"] == "success" for each in task)
    run("image", "delete", made)
    assert "file" in run.column("image", "stores", "list", name="ID")


def test_cache(run: EveryCommand, image: str) -> None:
    run("cached", "image", "queue", image)
    wait_until(lambda: image in run.column("cached", "image", "list", name="ID"), "the image is cached or queued")
    run("cached", "image", "delete", image)
    run("cached", "image", "clear")
    assert image not in run.column("cached", "image", "list", name="ID")


def test_metadata_definitions(run: EveryCommand) -> None:
    meta = ("image", "metadef")
    run(*meta, "namespace", "create", "Test::Commands", "--display-name", "of a test", "--public")
    run(*meta, "namespace", "set", "Test::Commands", "--description", "changed", "--tag", "one")
    assert run.look(*meta, "namespace", "show", "Test::Commands")["description"] == "changed"
    assert "Test::Commands" in run.column(*meta, "namespace", "list", name="namespace")
    run(*meta, "namespace", "unset", "Test::Commands", "--all-tags")
    schema = json.dumps({"description": "how big"})
    of_property = ("--name", "size", "--title", "Size", "--type", "integer", "--schema", schema)
    run(*meta, "property", "create", *of_property, "Test::Commands")
    run(*meta, "property", "set", "Test::Commands", "size", "--title", "The size")
    assert run.look(*meta, "property", "show", "Test::Commands", "size")["title"] == "The size"
    assert run.column(*meta, "property", "list", "Test::Commands", name="name") == {"size"}
    run(*meta, "property", "delete", "Test::Commands", "size")
    run(*meta, "object", "create", "--namespace", "Test::Commands", "box")
    run(*meta, "object", "update", "Test::Commands", "box", "--name", "crate")
    assert run.look(*meta, "object", "show", "Test::Commands", "crate")["name"] == "crate"
    assert run.column(*meta, "object", "list", "Test::Commands", name="name") == {"crate"}
    # The client makes objects without properties only.
    session = run.cloud.session("stackyard-admin")
    crate = {"name": "crate", "properties": {"weight": {"title": "Weight", "type": "integer"}}}
    session.call("PUT", "/image/v2/metadefs/namespaces/Test::Commands/objects/crate", crate)
    session.close()
    shown = run.look(*meta, "object", "property", "show", "Test::Commands", "crate", "weight")
    assert shown["title"] == "Weight"
    run(*meta, "object", "delete", "Test::Commands", "crate")
    run(*meta, "resource", "type", "association", "create", "Test::Commands", "OS::Test::Thing")
    listed = run.column(*meta, "resource", "type", "association", "list", "Test::Commands")
    assert listed == {"OS::Test::Thing"}
    assert "OS::Test::Thing" in run.column(*meta, "resource", "type", "list")
    run(*meta, "resource", "type", "association", "delete", "Test::Commands", "OS::Test::Thing")
    run(*meta, "namespace", "delete", "Test::Commands")


def test_none_is_forgotten(run: EveryCommand) -> None:
    """Runs last."""
    assert run.listed - run.tried == set()
    assert len(run.listed) > 35
