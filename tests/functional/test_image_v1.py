"""Version 1 of the image API through the unmodified `glance` command, as books and scripts of its time use it."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from scripts.clients import GLANCE
from tests.functional.real_cloud import Done, RealCloud
from tests.functional.tenant import Tenant

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(300)]


class Glance:
    """`glance --os-image-api-version 1 ...` as one of the cloud's users."""

    def __init__(self, cloud: RealCloud, name: str) -> None:
        auth = yaml.safe_load((cloud.state_dir / "clouds.yaml").read_text())["clouds"][name]["auth"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        self.environment = kept | {
            "OS_AUTH_URL": auth["auth_url"],
            "OS_USERNAME": auth["username"],
            "OS_PASSWORD": auth["password"],
            "OS_PROJECT_NAME": auth["project_name"],
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
        }

    def run(self, *words: str) -> Done:
        """One command, however it ends."""
        argv = [str(GLANCE), "--os-image-api-version", "1", *words]
        # As at a terminal: of anything else it expects an image's data.
        master, terminal = pty.openpty()
        try:
            done = subprocess.run(argv, stdin=terminal, capture_output=True, text=True, env=self.environment)
        finally:
            os.close(master)
            os.close(terminal)
        return Done(done.returncode, done.stdout, done.stderr)

    def succeed(self, *words: str) -> str:
        """What a command prints, which must succeed."""
        done = self.run(*words)
        assert done.status == 0, f"glance {' '.join(words)} exits {done.status}: {done.out}{done.err}"
        return done.out

    def table(self, *words: str) -> list[list[str]]:
        """The cells of the table that a command prints, its heading left out."""
        lines = [line for line in self.succeed(*words).splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][1:]

    def image(self, *words: str) -> dict[str, str]:
        """The image that a command prints."""
        return {row[0]: row[1] for row in self.table(*words)}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A qcow2 of 8 MiB."""
    path = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "8M"], check=True)
    return path


@pytest.fixture
def admin(real_cloud: RealCloud) -> Iterator[Glance]:
    """The administrator, whose images are gone afterwards."""
    glance = Glance(real_cloud, "stackyard-admin")
    before = {row[0] for row in glance.table("image-list", "--all-tenants")}
    yield glance
    for row in glance.table("image-list", "--all-tenants"):
        if row[0] not in before:
            glance.run("image-update", row[0], "--is-protected", "False")
            glance.succeed("image-delete", row[0])


def test_an_image_from_its_creation_to_its_end(
    real_cloud: RealCloud, admin: Glance, disk: Path, tmp_path: Path
) -> None:
    demo = Glance(real_cloud, "stackyard")
    words = ["image-create", "--name", "x", "--is-public", "True", "--disk-format", "qcow2"]
    image = admin.image(*words, "--container-format", "bare", "--property", "os=linux", "--file", str(disk))
    digest = hashlib.md5(disk.read_bytes()).hexdigest()
    expected = {
        "name": "x", "is_public": "True", "status": "active", "disk_format": "qcow2", "container_format": "bare",
        "size": str(disk.stat().st_size), "virtual_size": str(8 << 20), "checksum": digest, "protected": "False",
        "Property 'os'": "linux",
    }  # fmt: skip
    assert {name: image[name] for name in expected} == expected

    listed = [row for row in demo.table("image-list", "--name", "x") if row[0] == image["id"]]
    assert listed == [[image["id"], "x", "qcow2", "bare", str(disk.stat().st_size), "active"]]
    shown = demo.image("image-show", "x")
    assert {name: shown[name] for name in expected} == expected

    copy = tmp_path / "copy"
    demo.succeed("image-download", "--file", str(copy), image["id"])
    assert copy.read_bytes() == disk.read_bytes()

    refused = demo.run("image-update", "--name", "mine", image["id"])
    assert (refused.status, "Policy does not allow modify_image" in refused.err) == (1, True), refused
    changed = admin.image("image-update", image["id"], "--name", "y z", "--property", "arch=x86_64", "--min-ram", "64")
    assert (changed["name"], changed["min_ram"], changed["Property 'os'"]) == ("y z", "64", "linux")
    purged = admin.image("image-update", "y z", "--purge-props", "--is-protected", "True")
    assert "Property 'os'" not in purged
    assert "protected" in admin.run("image-delete", image["id"]).out
    admin.succeed("image-update", image["id"], "--is-protected", "False")
    admin.succeed("image-delete", "y z")
    assert admin.run("image-show", image["id"]).status == 1


def test_data_that_is_not_what_was_declared(admin: Glance, disk: Path) -> None:
    words = ["image-create", "--name", "liar", "--disk-format", "vmdk", "--container-format", "bare"]
    refused = admin.run(*words, "--file", str(disk))
    assert (refused.status, "disk_format is vmdk, but the data is qcow2" in refused.err) == (1, True), refused
    assert [row[5] for row in admin.table("image-list", "--name", "liar")] == ["queued"]


def test_members(real_cloud: RealCloud, admin: Glance, tenant: Tenant, disk: Path) -> None:
    demo = Glance(real_cloud, "stackyard")
    words = ["image-create", "--name", "shared", "--disk-format", "qcow2", "--container-format", "bare"]
    image = admin.image(*words, "--is-public", "False", "--file", str(disk))["id"]
    project = json.loads(real_cloud.openstack("token", "issue", "-f", "json"))["project_id"]
    assert demo.run("image-show", image).status == 1
    admin.succeed("member-create", image, project)
    # The client prints nothing for "may not share".
    assert admin.table("member-list", "--image-id", image) == [[image, project, ""]]
    assert admin.table("member-list", "--tenant-id", project) == [[image, project, ""]]
    assert demo.image("image-show", image)["name"] == "shared"
    assert [row[0] for row in demo.table("image-list") if row[1] == "shared"] == [image]
    assert demo.run("member-create", image, tenant.project_id).status == 1
    admin.succeed("member-create", "--can-share", image, project)
    demo.succeed("member-create", image, tenant.project_id)
    admin.succeed("member-delete", image, project)
    assert demo.run("image-show", image).status == 1


def test_filters(real_cloud: RealCloud, admin: Glance, disk: Path) -> None:
    demo = Glance(real_cloud, "stackyard")
    made = {}
    for name, more in (
        ("a", ["--property", "os=linux"]),
        ("b", ["--is-protected", "True"]),
        ("c", ["--min-disk", "3"]),
    ):
        words = ["image-create", "--name", name, "--disk-format", "qcow2", "--container-format", "ovf", *more]
        made[name] = admin.image(*words, "--file", str(disk))["id"]
    ours = {"container": ["--container-format", "ovf"], "property": ["--property-filter", "os=linux"]}
    names = [row[1] for row in admin.table("image-list", *ours["container"], "--sort-key", "name", "--page-size", "1")]
    assert names == ["a", "b", "c"]
    assert [row[1] for row in admin.table("image-list", *ours["property"])] == ["a"]
    assert admin.table("image-list", "--size-max", "1") == []
    assert admin.table("image-list", *ours["container"], "--is-public", "True") != []
    assert len(admin.table("image-list", *ours["container"], "--is-public", "False")) == 3
    assert demo.table("image-list", *ours["container"]) == []
    assert admin.table("image-list", *ours["container"], "--owner", "nobody") == []
