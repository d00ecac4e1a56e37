"""Projects and domains."""

from __future__ import annotations

from typing import Any

from tests.api.identity.people import V3, People, in_domain, in_project


def test_a_project_is_shown_as_it_was_made(people: People) -> None:
    made = people.make("project", description="a", tags=["x", "y"], flavour="salty")
    assert made["domain_id"] == made["parent_id"] == "default"
    assert (made["enabled"], made["is_domain"], made["flavour"]) == (True, False, "salty")
    shown = people.admin.get(f"{V3}/projects/{made['id']}").json()["project"]
    assert shown == made
    assert shown["links"]["self"] == f"http://127.0.0.1:5000{V3}/projects/{made['id']}"
    listed = people.admin.get(f"{V3}/projects").json()
    assert made in listed["projects"]
    assert listed["links"] == {"self": f"http://127.0.0.1:5000{V3}/projects", "previous": None, "next": None}


def test_an_update_changes_what_is_given_and_keeps_the_rest(people: People) -> None:
    made = people.make("project", description="a", flavour="salty")
    url = f"{V3}/projects/{made['id']}"
    changed = people.admin.patch(url, json={"project": {"description": "b", "colour": "red"}}).json()["project"]
    assert changed == {**made, "description": "b", "colour": "red"}
    assert people.admin.patch(url, json={"project": {}}).status_code == 400
    assert people.admin.patch(url, json={"project": {"id": "other"}}).status_code == 400
    assert people.admin.patch(url, json={"project": {"domain_id": "other"}}).status_code == 400
    assert people.admin.patch(url, json={"project": {"parent_id": "other"}}).status_code == 403
    assert people.admin.patch(url, json={"project": {"is_domain": True}}).status_code == 400


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "   "}, "name"),
    ({"name": "x" * 65}, "name"),
    ({"name": 7}, "name"),
    ({"enabled": "yes"}, "enabled"),
    ({"description": 7}, "description"),
    ({"tags": ["a,b"]}, "tags"),
    ({"tags": ["a", "a"]}, "tags"),
    ({"tags": [str(number) for number in range(81)]}, "tags"),
    ({"domain_id": "no such"}, "domain"),
    ({"domain_id": "0" * 32}, "domain"),
    ({"parent_id": "0" * 32}, "project"),
    ({"options": {"immutable": "yes"}}, "immutable"),
]


def test_wrong_attributes_are_named(people: People) -> None:
    before = people.admin.get(f"{V3}/projects").json()
    for attributes, field in WRONG:
        response = people.admin.post(f"{V3}/projects", json={"project": {"name": "p", **attributes}})
        assert response.status_code == 400, attributes
        assert field in response.json()["error"]["message"], attributes
    assert people.admin.get(f"{V3}/projects").json() == before


def test_names_are_unique_in_a_domain(people: People) -> None:
    made = people.make("project")
    other = people.make("domain")
    response = people.admin.post(f"{V3}/projects", json={"project": {"name": made["name"]}})
    assert response.status_code == 409
    assert people.make("project", name=made["name"], domain_id=other["id"])["domain_id"] == other["id"]
    third = people.make("project")
    renamed = people.admin.patch(f"{V3}/projects/{third['id']}", json={"project": {"name": made["name"]}})
    assert renamed.status_code == 409


def test_the_tree(people: People) -> None:
    top = people.make("project")
    middle = people.make("project", parent_id=top["id"])
    leaf = people.make("project", parent_id=middle["id"])

    def show(project: dict[str, Any], query: str) -> dict[str, Any]:
        return dict(people.admin.get(f"{V3}/projects/{project['id']}?{query}").json()["project"])

    assert show(leaf, "parents_as_ids")["parents"] == {middle["id"]: {top["id"]: {"default": None}}}
    assert show(top, "subtree_as_ids")["subtree"] == {middle["id"]: {leaf["id"]: None}}
    assert show(leaf, "subtree_as_ids")["subtree"] is None
    assert show(top, "subtree_as_list")["subtree"] == []
    admin_id = people.cloud.client("admin").get(f"{V3}/auth/tokens", headers=_own(people)).json()["token"]["user"]["id"]
    people.grant(f"users/{admin_id}", "member", f"projects/{middle['id']}")
    assert [item["project"]["id"] for item in show(top, "subtree_as_list")["subtree"]] == [middle["id"]]
    assert [item["project"]["id"] for item in show(leaf, "parents_as_list")["parents"]] == [middle["id"]]
    both = people.admin.get(f"{V3}/projects/{leaf['id']}?parents_as_ids&parents_as_list")
    assert both.status_code == 400
    assert people.admin.delete(f"{V3}/projects/{top['id']}").status_code == 403
    disabled = people.admin.patch(f"{V3}/projects/{top['id']}", json={"project": {"enabled": False}})
    assert disabled.status_code == 403


def _own(people: People) -> dict[str, str]:
    return {"X-Subject-Token": people.cloud.token("admin")}


def test_a_tree_has_an_end(people: People) -> None:
    parent = people.make("project")
    for _ in range(4):
        parent = people.make("project", parent_id=parent["id"])
    too_deep = people.admin.post(f"{V3}/projects", json={"project": {"name": "deep", "parent_id": parent["id"]}})
    assert too_deep.status_code == 403


def test_filters(people: People) -> None:
    domain = people.make("domain")
    one = people.make("project", name="alpha one", domain_id=domain["id"])
    two = people.make("project", name="alpha two", domain_id=domain["id"], enabled=False)
    below = people.make("project", name="Beta", domain_id=domain["id"], parent_id=one["id"])

    def names(query: str) -> list[str]:
        found = people.admin.get(f"{V3}/projects?domain_id={domain['id']}&{query}").json()["projects"]
        return [project["name"] for project in found]

    assert names("") == ["Beta", "alpha one", "alpha two"]
    assert names("name=alpha%20one") == ["alpha one"]
    assert names("name__contains=alpha") == ["alpha one", "alpha two"]
    assert names("name__startswith=alpha&enabled=true") == ["alpha one"]
    assert names("name__endswith=two") == ["alpha two"]
    assert names("name__icontains=bETa") == ["Beta"]
    assert names("enabled=0") == [two["name"]]
    assert names(f"parent_id={one['id']}") == [below["name"]]
    domains = people.admin.get(f"{V3}/projects?is_domain=true").json()["projects"]
    assert {"Default", domain["name"]} <= {found["name"] for found in domains}


def test_pages(people: People) -> None:
    domain = people.make("domain")
    made = [people.make("project", name=f"p{number}", domain_id=domain["id"])["name"] for number in range(5)]
    url: str | None = f"{V3}/projects?domain_id={domain['id']}&limit=2"
    seen: list[str] = []
    pages = 0
    while url:
        body = people.admin.get(url).json()
        seen += [project["name"] for project in body["projects"]]
        assert body.get("truncated", False) == (body["links"]["next"] is not None)
        url = body["links"]["next"]
        pages += 1
    assert (seen, pages) == (made, 3)


def test_tags(people: People) -> None:
    one, two = people.make("project", tags=["a", "b"]), people.make("project", tags=["b", "c"])
    url = f"{V3}/projects/{one['id']}/tags"
    assert people.admin.get(url).json()["tags"] == ["a", "b"]
    assert people.admin.put(f"{url}/d").status_code == 201
    assert people.admin.get(f"{url}/d").status_code == 204
    assert people.admin.delete(f"{url}/a").status_code == 204
    assert people.admin.get(f"{url}/a").status_code == 404
    assert people.admin.delete(f"{url}/a").status_code == 404
    assert people.admin.put(f"{url}/a,b").status_code == 400
    assert people.admin.put(url, json={"tags": ["b", "x"]}).json()["tags"] == ["b", "x"]
    assert people.admin.put(url, json={"tags": ["b", "b"]}).status_code == 400

    def ids(query: str) -> set[str]:
        found = {project["id"] for project in people.admin.get(f"{V3}/projects?{query}").json()["projects"]}
        return found & {one["id"], two["id"]}

    assert ids("tags=b") == {one["id"], two["id"]}
    assert ids("tags=b,x") == {one["id"]}
    assert ids("tags-any=x,c") == {one["id"], two["id"]}
    assert ids("not-tags=b,x") == {two["id"]}
    assert ids("not-tags-any=c") == {one["id"]}
    assert people.admin.delete(url).status_code == 204
    assert people.admin.get(url).json()["tags"] == []


def test_a_domain_must_be_disabled_to_be_deleted_and_takes_all_with_it(people: People) -> None:
    domain = people.make("domain")
    user, group = people.user(domain_id=domain["id"]), people.make("group", domain_id=domain["id"])
    project = people.make("project", domain_id=domain["id"])
    below = people.make("project", domain_id=domain["id"], parent_id=project["id"])
    role = people.make("role", domain_id=domain["id"])
    people.grant(f"users/{user['id']}", "member", f"projects/{below['id']}")
    people.grant(f"groups/{group['id']}", "member", f"domains/{domain['id']}")
    url = f"{V3}/domains/{domain['id']}"

    assert people.admin.delete(url).status_code == 403
    assert people.admin.patch(url, json={"domain": {"enabled": False}}).status_code == 200
    assert people.admin.delete(url).status_code == 204
    for kind, gone in (("domain", domain), ("user", user), ("group", group), ("project", below), ("role", role)):
        assert people.admin.get(f"{V3}/{kind}s/{gone['id']}").status_code == 404
    left = people.admin.get(f"{V3}/role_assignments").json()["role_assignments"]
    assert not [item for item in left if item.get("user", item.get("group"))["id"] in (user["id"], group["id"])]


def test_domains(people: People) -> None:
    made = people.make("domain", description="mine", explicit_domain_id="a" * 32)
    assert made["id"] == "a" * 32
    assert made["enabled"] is True
    assert people.admin.get(f"{V3}/domains/{made['id']}").json()["domain"] == made
    assert [d["id"] for d in people.admin.get(f"{V3}/domains?name={made['name']}").json()["domains"]] == [made["id"]]
    again = people.admin.post(f"{V3}/domains", json={"domain": {"name": made["name"]}})
    assert again.status_code == 409
    project = people.make("project")
    assert people.admin.get(f"{V3}/domains/{project['id']}").status_code == 404
    assert people.admin.post(f"{V3}/domains", json={"domain": {"name": "x" * 65}}).status_code == 400


def test_an_immutable_project_stays(people: People) -> None:
    made = people.make("project", options={"immutable": True})
    url = f"{V3}/projects/{made['id']}"
    assert people.admin.delete(url).status_code == 403
    assert people.admin.patch(url, json={"project": {"description": "x"}}).status_code == 403
    assert people.admin.patch(url, json={"project": {"options": {"immutable": None}}}).status_code == 200
    assert people.admin.delete(url).status_code == 204


def test_a_project_takes_its_assignments_and_quotas_along(people: People) -> None:
    project, user = people.make("project"), people.user(default_project_id="b" * 32)
    people.admin.patch(f"{V3}/users/{user['id']}", json={"user": {"default_project_id": project["id"]}})
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    assert people.admin.delete(f"{V3}/projects/{project['id']}").status_code == 204
    listed = people.admin.get(f"{V3}/role_assignments?user.id={user['id']}").json()["role_assignments"]
    assert listed == []
    assert "default_project_id" not in people.admin.get(f"{V3}/users/{user['id']}").json()["user"]


def test_domain_tokens_list_their_domain_alone(people: People) -> None:
    domain, other = people.make("domain"), people.make("domain")
    inside = people.make("project", domain_id=domain["id"])
    people.make("project", domain_id=other["id"])
    reader = people.with_role("reader", in_domain(domain), domain_id=domain["id"])
    assert [found["id"] for found in reader.get(f"{V3}/projects").json()["projects"]] == [inside["id"]]
    assert [found["id"] for found in reader.get(f"{V3}/domains").json()["domains"]] == [domain["id"]]
    assert len(reader.get(f"{V3}/users").json()["users"]) == 1
    member = people.with_role("member", in_project(inside))
    assert member.get(f"{V3}/projects").status_code == 403
    assert member.get(f"{V3}/projects/{inside['id']}").status_code == 200
