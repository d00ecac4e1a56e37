"""Custom properties: how many, what the standard ones hold, and the operator's file of who may touch which."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.image.conftest import ImageCloud

from stackyard.core.config import Image, Settings
from stackyard.core.policy import PolicyError, PolicySet
from stackyard.services.image import SERVICE
from stackyard.services.image.properties import check_files

RFC = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
NOBODY, EVERYONE = "create = !\nread = !\nupdate = !\ndelete = !\n", "create = @\nread = @\nupdate = @\ndelete = @\n"
BY_ROLES = f"""
[^x_hidden_]
create = admin
read = admin
update = admin
delete = admin

[^x_fixed$]
create = Member, admin
read = @
update = !
delete = admin

[^x_(closed)]
{NOBODY}
[os_glance_.*]
{NOBODY}
[^(x_open|description)]
{EVERYONE}
"""
BY_POLICIES = """
[^secret]
create = context_is_admin
read = context_is_admin
update = context_is_admin
delete = context_is_admin

[.*]
create = default
read = default
update = default
delete = !
"""

Make = Callable[..., ImageCloud]


@pytest.fixture
def make(database_url: str, tmp_path: Path) -> Iterator[Make]:
    """Makes the image service with settings of its own; `protections` is the text of that file."""
    made: list[ImageCloud] = []

    def build(protections: str = "", **settings: Any) -> ImageCloud:
        if protections:
            path = tmp_path / "protections.conf"
            path.write_text(protections)
            settings["property_protections"] = str(path)
        made.append(ImageCloud(database_url, tmp_path / "state", Settings(image=Image(**settings))))
        return made[-1]

    yield build
    for cloud in made:
        cloud.runtime.close()


def create(cloud: ImageCloud, user: str, **body: Any) -> Any:
    return cloud.client(user).post("/v2/images", json={"name": "i", **body})


def patch(cloud: ImageCloud, user: str, image_id: str, *changes: dict[str, Any]) -> int:
    path = f"/v2/images/{image_id}"
    return cloud.client(user).patch(path, content=json.dumps(changes), headers=RFC).status_code


def change(verb: str, name: str, value: str = "new") -> dict[str, Any]:
    return {"op": verb, "path": f"/{name}"} | ({} if verb == "remove" else {"value": value})


def test_who_may_create_which(make: Make) -> None:
    cloud = make(BY_ROLES)
    for name, status in (("x_hidden_a", 403), ("x_fixed", 201), ("x_closed", 403), ("x_open", 201), ("other", 403)):
        assert create(cloud, "demo", **{name: "v"}).status_code == status, name
    for name, status in (("x_hidden_a", 201), ("x_closed", 403), ("other", 403)):
        assert create(cloud, "admin", **{name: "v"}).status_code == status, name


def test_what_may_not_be_read_is_not_there(make: Make) -> None:
    cloud = make(BY_ROLES)
    admin, demo = cloud.client("admin"), cloud.client("demo")
    made = create(cloud, "admin", x_hidden_a="v", x_open="o", visibility="public").json()
    assert (made["x_hidden_a"], made["x_open"]) == ("v", "o")
    path = f"/v2/images/{made['id']}"
    for shown in (demo.get(path).json(), demo.get("/v2/images").json()["images"][0]):
        assert "x_hidden_a" not in shown
        assert shown["x_open"] == "o"
    assert admin.get("/v2/images").json()["images"][0]["x_hidden_a"] == "v"
    assert len(admin.get("/v2/images?x_hidden_a=v").json()["images"]) == 1
    assert demo.get("/v2/images?x_hidden_a=v").json()["images"] == []
    assert len(demo.get("/v2/images?x_open=o").json()["images"]) == 1


def test_who_may_change_and_remove_which(make: Make) -> None:
    cloud = make(BY_ROLES)
    image_id = create(cloud, "demo", x_fixed="v", x_open="o").json()["id"]
    assert patch(cloud, "admin", image_id, change("add", "x_hidden_a", "secret")) == 200
    assert patch(cloud, "demo", image_id, change("replace", "x_fixed")) == 403
    assert patch(cloud, "admin", image_id, change("replace", "x_fixed")) == 403
    assert patch(cloud, "demo", image_id, change("remove", "x_fixed")) == 403
    assert patch(cloud, "demo", image_id, change("replace", "x_open"), change("remove", "x_open")) == 200
    # What one may not see does not exist, and may not be written over either.
    for verb, status in (("replace", 409), ("remove", 409), ("add", 403)):
        assert patch(cloud, "demo", image_id, change(verb, "x_hidden_a")) == status, verb
    assert patch(cloud, "demo", image_id, change("add", "x_open"), change("add", "x_closed")) == 403
    shown = cloud.client("admin").get(f"/v2/images/{image_id}").json()
    assert (shown["x_fixed"], shown["x_hidden_a"]) == ("v", "secret")
    assert "x_open" not in shown
    assert patch(cloud, "demo", image_id, change("replace", "name")) == 200
    assert cloud.client("admin").get(f"/v2/images/{image_id}").json()["x_hidden_a"] == "secret"
    assert patch(cloud, "admin", image_id, change("remove", "x_fixed")) == 200


def test_the_policys_rules_may_decide(make: Make) -> None:
    cloud = make(BY_POLICIES, property_protection_rule_format="policies")
    assert create(cloud, "demo", secret="v").status_code == 403
    image_id = create(cloud, "demo", other="v").json()["id"]
    assert patch(cloud, "demo", image_id, change("replace", "other")) == 200
    assert patch(cloud, "admin", image_id, change("add", "secret")) == 200
    assert "secret" not in cloud.client("demo").get(f"/v2/images/{image_id}").json()
    assert patch(cloud, "admin", image_id, change("remove", "other")) == 403


@pytest.mark.parametrize(
    ("text", "rule_format", "word"),
    [
        ("[a]\ncreate = @\nread = @\nupdate = @\n", "roles", "delete"),
        ("[(]\n" + EVERYONE, "roles", "unterminated"),
        ("[a]\n" + EVERYONE + "[a]\n" + EVERYONE, "roles", "already exists"),
        ("[a]\n" + EVERYONE.replace("create = @", "create = @,!"), "roles", "exclude"),
        ("[a]\n" + EVERYONE.replace("create = @", "create = role:admin"), "roles", "no list of names"),
        ("[a]\n" + EVERYONE.replace("create = @", "create = default,other"), "policies", "one rule"),
        ("nonsense", "roles", "no section"),
    ],
)
def test_files_that_cannot_be_meant(tmp_path: Path, text: str, rule_format: str, word: str) -> None:
    path = tmp_path / "protections.conf"
    path.write_text(text)
    settings = Settings(image=Image(property_protections=str(path), property_protection_rule_format=rule_format))
    with pytest.raises(PolicyError, match=word):
        check_files(settings)


def test_a_file_that_is_missing_or_names_no_rule(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="missing"):
        check_files(Settings(image=Image(property_protections=str(tmp_path / "missing"))))
    path = tmp_path / "protections.conf"
    path.write_text("[a]\n" + EVERYONE.replace("create = @", "create = nowhere"))
    settings = Settings(image=Image(property_protections=str(path), property_protection_rule_format="policies"))
    with pytest.raises(PolicyError, match="nowhere"):
        PolicySet([*SERVICE.policies, *check_files(settings)])


def test_how_many_there_may_be(make: Make) -> None:
    cloud = make(image_property_quota=2, image_tag_quota=1, image_member_quota=1)
    demo = cloud.client("demo")
    assert create(cloud, "demo", a="1", b="2", c="3").status_code == 413
    assert create(cloud, "demo", tags=["a", "b"]).status_code == 413
    image_id = create(cloud, "demo", a="1", b="2", tags=["a"], visibility="shared").json()["id"]
    assert patch(cloud, "demo", image_id, change("add", "c")) == 413
    assert patch(cloud, "demo", image_id, change("remove", "a"), change("add", "c")) == 200
    assert patch(cloud, "demo", image_id, {"op": "replace", "path": "/tags", "value": ["x", "y"]}) == 413
    assert demo.put(f"/v2/images/{image_id}/tags/b").status_code == 413
    assert demo.put(f"/v2/images/{image_id}/tags/a").status_code == 204
    members = f"/v2/images/{image_id}/members"
    assert demo.post(members, json={"member": "one"}).status_code == 200
    assert demo.post(members, json={"member": "two"}).status_code == 413


def test_no_limits(make: Make) -> None:
    cloud = make(image_property_quota=-1, image_tag_quota=-1)
    many = {f"p{number}": "v" for number in range(200)}
    assert create(cloud, "demo", **many, tags=sorted(many)).status_code == 201


def test_by_default_128(images: ImageCloud) -> None:
    many = {f"p{number}": "v" for number in range(129)}
    assert create(images, "demo", **many).status_code == 413
    del many["p0"]
    image_id = create(images, "demo", **many).json()["id"]
    assert patch(images, "demo", image_id, change("add", "p0")) == 413
    assert create(images, "demo", tags=[f"t{number}" for number in range(129)]).status_code == 413


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("kernel_id", "6b1b0b7e-3f5c-4b3b-8b5e-5d0d7a1f2c3d", 201),
        ("kernel_id", None, 201),
        ("kernel_id", "", 400),
        ("ramdisk_id", "no-uuid", 400),
        ("cinder_encryption_key_deletion_policy", "do_not_delete", 201),
        ("cinder_encryption_key_deletion_policy", "never", 400),
        ("architecture", None, 400),
        ("architecture", 5, 400),
        ("architecture", "z" * 65536, 400),
    ],
)
def test_what_standard_properties_hold(images: ImageCloud, name: str, value: Any, status: int) -> None:
    assert create(images, "demo", **{name: value}).status_code == status
    if status == 400 and isinstance(value, str):
        image_id = create(images, "demo").json()["id"]
        assert patch(images, "demo", image_id, change("add", name, value)) == 400


def test_the_schema_describes_the_standard_properties(images: ImageCloud) -> None:
    schema = images.client("demo").get("/v2/schemas/image").json()
    assert schema["additionalProperties"] == {"type": "string"}
    assert schema["properties"]["kernel_id"]["type"] == ["null", "string"]
    assert schema["properties"]["os_distro"]["is_base"] is False
    assert "qcow2" in schema["properties"]["disk_format"]["enum"]
    several = images.client("demo").get("/v2/schemas/images").json()
    assert several["properties"]["images"]["items"] == schema


def test_an_operators_own_schema(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "schema-image.json"
    path.write_text('{"team": {"type": "string", "enum": ["red", "blue"], "description": "d"}}')
    cloud = make(schema_file=str(path))
    properties = cloud.client("demo").get("/v2/schemas/image").json()["properties"]
    assert properties["team"]["enum"] == ["red", "blue"]
    assert "os_distro" not in properties
    assert create(cloud, "demo", team="green").status_code == 400
    assert create(cloud, "demo", team="red", os_distro="any").status_code == 201


@pytest.mark.parametrize("text", ["", "[]", '{"a": {"type": "integer"}}', '{"a": {"format": "x"}}', '{"a": 1}'])
def test_schemas_that_cannot_be_meant(tmp_path: Path, text: str) -> None:
    path = tmp_path / "schema-image.json"
    path.write_text(text)
    with pytest.raises(PolicyError, match="schema-image"):
        check_files(Settings(image=Image(schema_file=str(path))))
