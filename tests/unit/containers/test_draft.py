"""What a create may hold at each microversion, and what a refusal says."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from stackyard.core.body import convert
from stackyard.core.errors import BadRequest
from stackyard.core.microversion import Microversion
from stackyard.services.containers.containers import names
from stackyard.services.containers.containers.bodies import create_body
from stackyard.services.containers.containers.draft import Draft, draft


def read(minor: int, **body: Any) -> Draft:
    version = Microversion(1, minor)
    return draft(convert({"image": "nginx", **body}, create_body(version)), version)


def refusal(minor: int, **body: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        read(minor, **body)
    return caught.value.message


def test_defaults() -> None:
    found = read(40)
    assert (found.cpu, found.memory, found.disk) == (0.0, 512, 0)
    assert found.name.endswith("-container")
    assert found.hostname == found.name
    assert (found.image_driver, found.interactive, found.tty) == ("docker", False, False)
    assert found.spec["restart_policy"] is None


def test_command_is_a_string_before_1_20_and_a_list_from_then() -> None:
    assert read(19, command='"nginx" "-g" "daemon off;"').spec["command"] == ["nginx", "-g", "daemon off;"]
    assert read(20, command=["sleep", "1"]).spec["command"] == ["sleep", "1"]
    assert "command" in refusal(19, command=["sleep"])
    assert "command" in refusal(20, command="sleep 1")
    assert "command" in refusal(40, command=["sleep", 1])
    assert "command" in refusal(1, command='"unbalanced')


@pytest.mark.parametrize(
    ("name", "value", "since"),
    [
        ("auto_remove", True, 3),
        ("runtime", "runc", 5),
        ("hostname", "h", 9),
        ("mounts", [{"type": "bind", "source": "", "destination": "/x"}], 11),
        ("privileged", False, 21),
        ("healthcheck", {"cmd": "true"}, 22),
        ("exposed_ports", {"80/tcp": {}}, 24),
        ("registry", "reg", 31),
        ("host", "h", 39),
        ("entrypoint", ["sh"], 40),
    ],
)
def test_each_parameter_has_its_version(name: str, value: object, since: int) -> None:
    assert name in refusal(since - 1, **{name: value})
    read(since, **{name: value})


def test_interactive_sets_the_terminal_between_1_20_and_1_35() -> None:
    assert read(19, interactive=True).tty is False
    assert read(20, interactive=True).tty is True
    assert read(36, interactive=True).tty is False
    assert read(36, interactive="true", tty="True").tty is True


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a"),
        ("name", "-a"),
        ("name", "a" * 256),
        ("name", "ab\n"),
        ("image", "x"),
        ("cpu", 0),
        ("cpu", 17),
        ("cpu", "many"),
        ("cpu", ""),
        ("memory", 3),
        ("memory", 8193),
        ("memory", "512m"),
        ("memory", 1.5),
        ("memory", True),
        ("disk", 0),
        ("disk", "9" * 30),
        ("image_pull_policy", "sometimes"),
        ("image_driver", "rkt"),
        ("restart_policy", {"Name": "maybe"}),
        ("restart_policy", {"Name": "always", "MaximumRetryCount": 2}),
        ("restart_policy", {}),
        ("interactive", "perhaps"),
        ("nets", [{}]),
        ("nets", [{"network": "a", "port": "b"}]),
        ("nets", [{"network": "a", "mac": "b"}]),
        ("mounts", [{"destination": "/x"}]),
        ("mounts", [{"type": "bind", "destination": "x", "source": ""}]),
        ("mounts", [{"type": "bind", "destination": "/x", "source": "?"}]),
        ("mounts", [{"type": "bind", "destination": "/a/../b", "source": ""}]),
        ("exposed_ports", {"80/icmp": {}}),
        ("exposed_ports", {"0": {}}),
        ("exposed_ports", {"http": {}}),
        ("environment", {"A": 1}),
        ("hostname", "a" * 64),
        ("hostname", "a b"),
        ("healthcheck", {"cmd": "true", "interval": "soon"}),
        ("cpu_policy", "dedicated"),
        ("colour", "red"),
    ],
)
def test_a_refusal_names_the_field(field: str, value: object) -> None:
    assert field.split("[", maxsplit=1)[0] in refusal(38, **{field: value})


def test_groups_and_exposed_ports_exclude_each_other() -> None:
    assert "security_groups" in refusal(40, exposed_ports={"80": {}}, security_groups=["default"])


def test_numbers_come_as_text_too() -> None:
    found = read(40, cpu="0.5", memory="100", disk="2", restart_policy={"Name": "on-failure", "MaximumRetryCount": "2"})
    assert (found.cpu, found.memory, found.disk) == (0.5, 100, 2)
    assert found.spec["restart_policy"] == {"Name": "on-failure", "MaximumRetryCount": "2"}


def test_files_and_ports() -> None:
    source = base64.b64encode(b"hello").decode()
    found = read(
        40,
        mounts=[{"type": "bind", "source": source, "destination": "/data/file"}],
        exposed_ports={"53/udp": {}, "80": {}},
    )
    assert found.files == [b"hello"]
    assert found.spec["mounts"] == [{"type": "bind", "destination": "/data/file", "file": "0"}]
    assert found.exposed_ports == ["53/udp", "80/tcp"]


@pytest.mark.parametrize(("name", "label"), [("Web_1.a", "web-1-a"), ("__", "container"), ("a" * 80, "a" * 63)])
def test_names_become_dns_labels(name: str, label: str) -> None:
    assert names.dns_label(name) == label
