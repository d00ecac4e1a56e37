"""Whether new security groups are stateful when nobody says: by project, for the cloud, and who may say so."""

from __future__ import annotations

from tests.api.network.neutron import Neutron
from tests.api.network.projects import Member
from tests.cloud import TestCloud

NOUN = "security_groups_default_statefulness"


def stateful(member: Neutron) -> bool:
    return bool(member.create("security_group")["stateful"])


def test_a_project_has_its_own_before_the_clouds(cloud: TestCloud, admin: Neutron, demo: Neutron) -> None:
    assert stateful(demo)
    of_all = admin.create(NOUN, stateful=False, project_id=None)
    assert not stateful(demo)
    project = demo.create("network")["project_id"]
    # As the SDK calls it.
    body = {"security_group_default_statefulness": {"stateful": True, "project_id": project}}
    own = admin.call("POST", "security-groups-default-statefulness", body, status=201)[NOUN]
    assert (stateful(demo), stateful(admin)) == (True, False)
    assert demo.create("security_group", stateful=False)["stateful"] is False
    assert [item["id"] for item in demo.list(NOUN)] == [own["id"]]
    assert {item["id"] for item in admin.list(NOUN)} == {own["id"], of_all["id"]}
    assert demo.show(NOUN, own["id"])["stateful"] is True
    demo.show(NOUN, of_all["id"], status=404)
    assert admin.update(NOUN, own["id"], stateful=False)["stateful"] is False
    assert not stateful(demo)
    (default,) = Member(cloud, "newcomer").list("security_group")
    assert default["stateful"] is False
    admin.delete(NOUN, own["id"])
    admin.delete(NOUN, of_all["id"])
    assert stateful(demo)


def test_there_is_one_at_most(admin: Neutron) -> None:
    for project in (None, "p"):
        admin.create(NOUN, stateful=False, project_id=project)
        kind = admin.refuse(NOUN, 409, stateful=True, project_id=project)
        assert kind == "SecurityGroupDefaultStatefulnessAlreadyExists"
    gone = admin.list(NOUN)[0]["id"]
    admin.delete(NOUN, gone)
    assert admin.delete(NOUN, gone, status=404)["type"] == "SecurityGroupDefaultStatefulnessNotFound"


def test_members_may_not_say_it(admin: Neutron, demo: Neutron) -> None:
    project = demo.create("network")["project_id"]
    for whose in (None, project, "another"):
        assert demo.refuse(NOUN, 403, stateful=False, project_id=whose) == "PolicyNotAuthorized"
    own = admin.create(NOUN, project_id=project)
    demo.update(NOUN, own["id"], status=403, stateful=False)
    demo.delete(NOUN, own["id"], status=403)
    assert admin.refuse(NOUN, 400, stateful="perhaps") == "HTTPBadRequest"
