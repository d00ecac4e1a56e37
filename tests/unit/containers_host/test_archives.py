"""Image archives: written alike each time, and loaded under one name whatever they say."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from stackyard.host.containers.archive import write_archive
from stackyard.host.containers.archive_names import renamed
from stackyard.host.errors import SpecError


def tar_of(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target.getvalue()


def files_of(archive: bytes) -> dict[str, bytes]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as content:
        for member in content:
            data = content.extractfile(member)
            found[member.name] = data.read() if data else b""
    return found


def through(archive: bytes, name: str = "given:1") -> dict[str, bytes]:
    return files_of(b"".join(renamed(io.BytesIO(archive), name)))


def test_an_archive_holds_what_its_digests_say(tmp_path: Path) -> None:
    layer = tmp_path / "layer.tar"
    layer.write_bytes(tar_of({"a": b"x"}))
    first, second = io.BytesIO(), io.BytesIO()
    for target in (first, second):
        write_archive(target, ("one:1", "two:2"), layer, {"Cmd": ["a"]})
    assert first.getvalue() == second.getvalue()
    files = files_of(first.getvalue())
    (manifest,) = json.loads(files["manifest.json"])
    assert manifest["RepoTags"] == ["one:1", "two:2"]
    assert manifest["Config"] == f"{hashlib.sha256(files[manifest['Config']]).hexdigest()}.json"
    config = json.loads(files[manifest["Config"]])
    assert config["config"] == {"Cmd": ["a"]}
    (layer_name,) = manifest["Layers"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(files[layer_name]).hexdigest()}"]


@pytest.mark.parametrize("tags", [None, ["nginx:latest"], ["nginx:latest", "mysql:latest"]])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_an_archives_own_names_do_not_count(tags: list[str] | None, compress: type[bytes]) -> None:
    manifest = [{"Config": "c.json", "RepoTags": tags, "Layers": ["x/layer.tar"]}]
    long_name = f"{'y' * 150}/layer.tar"
    archive = tar_of(
        {
            "x/layer.tar": b"l" * 3000,
            long_name: b"m" * 512,
            "manifest.json": json.dumps(manifest).encode(),
            "repositories": b'{"nginx": {"latest": "x"}}',
        }
    )
    files = through(compress(archive))
    assert json.loads(files["manifest.json"]) == [{**manifest[0], "RepoTags": ["given:1"]}]
    assert files["x/layer.tar"] == b"l" * 3000
    assert files[long_name] == b"m" * 512
    assert "repositories" not in files


def test_only_the_first_of_several_images_is_named() -> None:
    manifest = [{"RepoTags": ["a:1"]}, {"RepoTags": ["b:1"]}]
    files = through(tar_of({"./manifest.json": json.dumps(manifest).encode()}))
    assert json.loads(files["./manifest.json"]) == [{"RepoTags": ["given:1"]}, {"RepoTags": None}]


def test_the_names_of_an_oci_index_do_not_count_either() -> None:
    named = {"io.containerd.image.name": "nginx:latest", "org.opencontainers.image.ref.name": "latest", "x": "y"}
    index = {"schemaVersion": 2, "manifests": [{"digest": "d", "annotations": named}, {"digest": "e"}]}
    files = through(tar_of({"index.json": json.dumps(index).encode()}))
    first, second = json.loads(files["index.json"])["manifests"]
    assert first["annotations"] == {
        "io.containerd.image.name": "given:1",
        "org.opencontainers.image.ref.name": "1",
        "x": "y",
    }
    assert second["annotations"] == {}


@pytest.mark.parametrize("manifest", [b"{", b"5", b'["a"]', b"null"])
def test_a_broken_manifest_is_refused(manifest: bytes) -> None:
    with pytest.raises(SpecError, match=r"manifest\.json"):
        through(tar_of({"manifest.json": manifest}))


@pytest.mark.parametrize(
    "data", [b"", b"no tar" * 1000, gzip.compress(b"no tar" * 1000, mtime=0), tar_of({"a": b"x" * 9999})[:1024]]
)
def test_what_is_no_tar_is_refused(data: bytes) -> None:
    with pytest.raises(SpecError, match="not a tar"):
        through(data)
