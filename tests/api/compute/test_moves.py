"""Servers that move between two hosts: cold, with another flavor, while they run, and back."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import LATEST
from tests.api.compute.two import ONE, TWO, Both, Second
from tests.cloud import TestCloud
from tests.engine_fixture import busybox_archive
from tests.machine_bench import system_files

from stackyard.core.db import Transaction
from stackyard.host.errors import HostError, SpecError
from stackyard.host.specs import ConsoleEndpoint
from stackyard.services.compute import migrations
from stackyard.services.compute.peers import PEERS, tickets
from stackyard.services.compute.peers.certificate import for_calls
from stackyard.services.compute.peers.stream import Stream
from stackyard.services.compute.tables import transfer_tickets
from stackyard.services.placement import api as placement

LET_GO = r"went away|go on|does not take"
AUTO: dict[str, Any] = {"host": None, "block_migration": "auto"}


@pytest.fixture
def both(postgres_url: str, tmp_path: Path) -> Iterator[Both]:
    one = TestCloud(postgres_url, tmp_path / "one")
    one.start()
    two = Second(postgres_url, tmp_path / "two")
    try:
        yield Both(one, two)
    finally:
        for host in (one.machines, two.machines):
            host["machine"].hold.set()
        two.stop()
        one.close()


def port_of(both: Both, server: str) -> dict[str, Any]:
    port = rows.row(both.one, server).interfaces[0]["port"]
    found: dict[str, Any] = both.one.client("admin").get(f"/network/v2.0/ports/{port}").json()["port"]
    return found


def held(both: Both, consumer: str) -> dict[str, dict[str, int]]:
    """By host."""
    nodes = {row.id: row.host for row in both.one.database.read("nodes", booted_hosts)}
    found = both.one.database.read("held", placement.allocations_of, consumer)
    return {nodes[provider]: dict(amounts) for provider, amounts in found.items()}


def booted_hosts(tx: Transaction) -> Any:
    from stackyard.services.compute import hosts

    return hosts.rows(tx)


def events(both: Both, server: str, action: str) -> list[tuple[str, str | None]]:
    found = both.admin.get(f"/servers/{server}/os-instance-actions", version=LATEST)["instanceActions"]
    request = next(one["request_id"] for one in found if one["action"] == action)
    shown = both.admin.get(f"/servers/{server}/os-instance-actions/{request}", version=LATEST)["instanceAction"]
    return [(event["event"], event["result"]) for event in reversed(shown["events"])]


# ------------------------------------------------------------------------------------------------------------ cold


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_cold_migration(both: Both, confirmed: bool) -> None:
    server = both.server()
    printed = both.machines(ONE).console_output(server)
    booted.act(both.admin, server, "migrate")
    both.becomes(server, "VERIFY_RESIZE", TWO)
    move = booted.move(both.one, server)
    assert (move.migration_type, move.status, move.source_compute, move.dest_compute) == (
        "migration", "finished", ONE, TWO,
    )  # fmt: skip
    assert both.has(ONE, server) == "stopped"
    assert both.has(TWO, server) == "running"
    assert both.machines(TWO).console_output(server).startswith(printed), "its disk went with it"
    assert port_of(both, server)["binding:host_id"] == TWO
    assert list(held(both, server)) == [TWO]
    assert list(held(both, move.uuid)) == [ONE]
    if confirmed:
        booted.act(both.demo, server, "confirmResize", status=204)
        both.becomes(server, "ACTIVE", TWO)
        booted.until(lambda: both.has(ONE, server) is None)
    else:
        booted.act(both.demo, server, "revertResize")
        both.becomes(server, "ACTIVE", ONE)
        booted.until(lambda: both.has(TWO, server) is None)
        assert both.has(ONE, server) == "running"
    ends = TWO if confirmed else ONE
    assert list(held(both, server)) == [ends]
    assert held(both, move.uuid) == {}
    assert port_of(both, server)["binding:host_id"] == ends
    assert booted.move(both.one, server).status == ("confirmed" if confirmed else "reverted")
    assert events(both, server, "migrate") == [
        ("compute_resize_instance", "Success"), ("compute_finish_resize", "Success"),
    ]  # fmt: skip


def test_to_a_host_of_ones_choice(both: Both) -> None:
    server = both.server()
    booted.act(both.admin, server, "os-stop")
    both.becomes(server, "SHUTOFF")
    booted.act(both.admin, server, "migrate", {"host": TWO}, version="2.56")
    both.becomes(server, "VERIFY_RESIZE", TWO)
    booted.act(both.admin, server, "confirmResize", status=204)
    both.becomes(server, "SHUTOFF", TWO)
    assert both.has(TWO, server) in ("stopped", "defined")
    booted.act(both.demo, server, "os-start")
    both.becomes(server, "ACTIVE", TWO)


@pytest.mark.parametrize("kind", ["container", "system"])
def test_containers_move_cold_and_not_live(both: Both, kind: str) -> None:
    server = both.server(image=container_image(both, {"container": "docker", "system": "rootfs"}[kind]))
    assert rows.row(both.one, server).kind == kind
    told = booted.act(both.admin, server, "os-migrateLive", AUTO, status=400, version="2.25")
    assert "not supported" in told["message"]
    booted.act(both.admin, server, "migrate")
    both.becomes(server, "VERIFY_RESIZE", TWO)
    booted.act(both.admin, server, "confirmResize", status=204)
    both.becomes(server, "ACTIVE", TWO)
    assert both.has(TWO, server, kind) == "running"
    booted.until(lambda: both.has(ONE, server, kind) is None)


def container_image(both: Both, container_format: str) -> str:
    client = both.one.client("admin")
    body = {"name": "files", "disk_format": "raw", "container_format": container_format, "visibility": "public"}
    made = client.post("/image/v2/images", json=body).json()
    headers = {"content-type": "application/octet-stream"}
    data = system_files() if container_format == "rootfs" else busybox_archive("some/thing:1")
    answer = client.put(f"/image/v2/images/{made['id']}/file", content=data.read(), headers=headers)
    assert answer.status_code == 204, answer.text
    return str(made["id"])


def test_a_resize_may_choose_another_host(both: Both) -> None:
    server = both.server()
    booted.until(lambda: booted.status(both.demo, server) == "ACTIVE")
    both.admin.put(f"/os-services/{service(both, ONE)}", {"status": "disabled"}, version="2.53")
    booted.act(both.demo, server, "resize", {"flavorRef": "2"})
    both.becomes(server, "VERIFY_RESIZE", TWO)
    assert both.machines(TWO).spec(server).memory == 2048
    booted.act(both.demo, server, "revertResize")
    both.becomes(server, "ACTIVE", ONE)
    assert both.machines(ONE).spec(server).memory == 512


def service(both: Both, host: str) -> str:
    found = both.admin.get(f"/os-services?host={host}&binary=nova-compute", version="2.53")["services"]
    return str(found[0]["id"])


def test_one_that_does_not_arrive_is_where_it_was(both: Both) -> None:
    server = both.server()
    both.machines(TWO).fail_next["unpack"] = SpecError("this host has no room")
    booted.act(both.admin, server, "migrate")
    both.becomes(server, "ERROR", ONE)
    row = rows.row(both.one, server)
    assert "this host has no room" in row.fault["message"]
    assert booted.move(both.one, server).status == "error"
    assert list(held(both, server)) == [ONE]
    assert both.has(TWO, server) is None
    booted.act(both.demo, server, "reboot", {"type": "HARD"})
    both.becomes(server, "ACTIVE", ONE)
    assert port_of(both, server)["binding:host_id"] == ONE


def test_what_fails_now_and_then_is_tried_again(both: Both) -> None:
    server = both.server()
    both.machines(ONE).fail_next["pack"] = HostError("try again")
    booted.act(both.admin, server, "migrate")
    both.becomes(server, "VERIFY_RESIZE", TWO)


def test_a_host_that_is_restarted_goes_on(both: Both) -> None:
    server = both.server()
    both.two.stop()
    booted.act(both.admin, server, "migrate")
    booted.until(lambda: rows.row(both.one, server).host == TWO)
    assert booted.status(both.demo, server) == "RESIZE"
    both.two.start()
    both.becomes(server, "VERIFY_RESIZE", TWO)


def test_a_deleted_one_leaves_nothing_on_either_host(both: Both) -> None:
    server = both.server()
    booted.act(both.admin, server, "migrate")
    both.becomes(server, "VERIFY_RESIZE", TWO)
    move = booted.move(both.one, server)
    both.demo.delete(f"/servers/{server}", status=204)
    booted.until(lambda: both.has(ONE, server) is None and both.has(TWO, server) is None)
    booted.until(lambda: held(both, move.uuid) == held(both, server) == {})


# ------------------------------------------------------------------------------------------------------------ live


@pytest.mark.parametrize("paused", [False, True])
def test_a_live_migration(both: Both, paused: bool) -> None:
    server = both.server()
    state = "PAUSED" if paused else "ACTIVE"
    if paused:
        booted.act(both.demo, server, "pause")
        both.becomes(server, state)
    printed = both.machines(ONE).console_output(server)
    booted.act(both.admin, server, "os-migrateLive", AUTO, version="2.25")
    both.becomes(server, state, TWO)
    move = booted.move(both.one, server)
    assert (move.migration_type, move.status, move.source_compute, move.dest_compute) == (
        "live-migration", "completed", ONE, TWO,
    )  # fmt: skip
    assert move.memory_total == len(printed)
    assert both.has(TWO, server) == ("paused" if paused else "running")
    assert both.machines(TWO).console_output(server) == printed, "it did not start anew"
    booted.until(lambda: both.has(ONE, server) is None)
    assert port_of(both, server)["binding:host_id"] == TWO
    assert list(held(both, server)) == [TWO]
    assert held(both, move.uuid) == {}
    assert events(both, server, "live-migration") == [
        ("compute_live_migration", "Success"), ("compute_post_live_migration_at_destination", "Success"),
    ]  # fmt: skip
    if not paused:
        booted.act(both.admin, server, "os-migrateLive", {**AUTO, "host": ONE}, version="2.30")
        both.becomes(server, state, ONE)


def under_way(both: Both, server: str) -> int:
    """One that is held on its way; its number."""
    both.machines(ONE).hold.clear()
    booted.act(both.admin, server, "os-migrateLive", AUTO, version="2.25")
    booted.until(lambda: bool(shown(both, server)))
    booted.until(lambda: shown(both, server)[0]["status"] == "running")
    return int(shown(both, server)[0]["id"])


def shown(both: Both, server: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = both.admin.get(f"/servers/{server}/migrations", version="2.23")["migrations"]
    return found


def test_one_under_way_is_shown_and_aborted(both: Both) -> None:
    server = both.server()
    number = under_way(both, server)
    assert booted.status(both.demo, server) == "MIGRATING"
    assert rows.row(both.one, server).host == ONE
    found = shown(both, server)[0]
    assert (found["source_compute"], found["dest_compute"], found["memory_total_bytes"] is None) in (
        (ONE, TWO, False), (ONE, TWO, True),
    )  # fmt: skip
    assert {one["host"] for one in bindings(both, server)} == {ONE, TWO}
    booted.act(both.demo, server, "os-stop", status=409)
    both.admin.delete(f"/servers/{server}/migrations/{number}", status=202, version="2.24")
    both.becomes(server, "ACTIVE", ONE)
    move = booted.move(both.one, server)
    assert move.status == "cancelled"
    assert list(held(both, server)) == [ONE]
    assert held(both, move.uuid) == {}
    booted.until(lambda: both.has(TWO, server) is None)
    assert {one["host"] for one in bindings(both, server)} == {ONE}
    assert ("live_migration_cancel", None) in booted.actions(both.admin, server)
    assert shown(both, server) == []


def bindings(both: Both, server: str) -> list[dict[str, Any]]:
    port = rows.row(both.one, server).interfaces[0]["port"]
    found: list[dict[str, Any]] = (
        both.one.client("admin").get(f"/network/v2.0/ports/{port}/bindings").json()["bindings"]
    )
    return found


def test_one_under_way_is_forced_to_arrive(both: Both) -> None:
    server = both.server()
    number = under_way(both, server)
    path = f"/servers/{server}/migrations/{number}/action"
    both.admin.post(path, {"force_complete": None}, status=202, version="2.22")
    both.becomes(server, "ACTIVE", TWO)
    assert booted.move(both.one, server).status == "completed"


def test_one_under_way_is_deleted(both: Both) -> None:
    server = both.server()
    under_way(both, server)
    move = booted.move(both.one, server)
    both.demo.delete(f"/servers/{server}", status=204)
    booted.until(lambda: both.has(ONE, server) is None and both.has(TWO, server) is None)
    booted.until(lambda: held(both, move.uuid) == held(both, server) == {})


@pytest.mark.parametrize(("host", "step"), [(ONE, "describe"), (TWO, "expect"), (ONE, "send")])
def test_one_that_fails_stays(both: Both, host: str, step: str) -> None:
    server = both.server()
    both.machines(host).fail_next[step] = HostError("the way is blocked")
    booted.act(both.admin, server, "os-migrateLive", AUTO, version="2.25")
    booted.until(lambda: booted.move(both.one, server).status == "failed")
    both.becomes(server, "ACTIVE", ONE)
    assert both.has(ONE, server) == "running"
    assert list(held(both, server)) == [ONE]
    booted.until(lambda: both.has(TWO, server) is None)
    assert ("live-migration", "Error") in booted.actions(both.admin, server)
    assert {one["host"] for one in bindings(both, server)} == {ONE}


def test_one_whose_host_is_killed_on_the_way_is_sent_again(both: Both) -> None:
    """The process ends in the middle: what waits at the other host is made anew, and the server goes over."""
    server = both.server()
    under_way(both, server)
    both.two.stop()
    both.two.start()
    both.machines(ONE).hold.set()
    booted.until(lambda: booted.move(both.one, server).status in ("failed", "completed"))
    moved = booted.move(both.one, server).status == "completed"
    both.becomes(server, "ACTIVE", TWO if moved else ONE)
    ends, other = (TWO, ONE) if moved else (ONE, TWO)
    assert both.has(ends, server) == "running"
    booted.until(lambda: both.has(other, server) is None)


def test_what_is_refused_before_it_begins(both: Both) -> None:
    server = both.server()
    before = rows.row(both.one, server)
    live = {**AUTO, "block_migration": False}
    told = booted.act(both.admin, server, "os-migrateLive", live, status=400, version="2.25")
    assert "shared storage" in told["message"]
    booted.put_down(both.one, TWO)
    told = booted.act(both.admin, server, "os-migrateLive", {**AUTO, "host": TWO}, status=400, version="2.30")
    assert told["message"] == f"Compute service of {TWO} is unavailable at this time."
    booted.put_down(both.one, TWO, down=False)
    booted.put_down(both.one, ONE)
    told = booted.act(both.admin, server, "migrate", status=409)
    assert "unavailable at this time" in told["message"]
    booted.put_down(both.one, ONE, down=False)
    assert rows.row(both.one, server) == before


# -------------------------------------------------------------------------------------------------------- evacuated


def test_a_host_that_comes_back_removes_what_was_evacuated(both: Both) -> None:
    server = both.server()
    booted.act(both.admin, server, "migrate")
    both.becomes(server, "VERIFY_RESIZE", TWO)
    booted.act(both.admin, server, "confirmResize", status=204)
    both.becomes(server, "ACTIVE", TWO)
    both.two.stop()
    booted.put_down(both.one, TWO)
    booted.act(both.admin, server, "evacuate", {}, status=200, version="2.14")
    both.becomes(server, "ACTIVE", ONE)
    assert both.has(TWO, server) == "running", "nobody has told it"
    booted.put_down(both.one, TWO, down=False)
    both.two.start()
    booted.until(lambda: both.has(TWO, server) is None)
    booted.until(lambda: booted.move(both.one, server).status == "completed")
    assert both.has(ONE, server) == "running"


# ---------------------------------------------------------------------------------------- consoles on the other host


def test_a_server_on_another_host_shows_its_console(
    both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it printed, addresses of its consoles, and what these carry: by whichever host is asked."""
    server = both.server()
    booted.act(both.admin, server, "migrate")
    both.becomes(server, "VERIFY_RESIZE", TWO)
    printed = both.machines(TWO).console_output(server)
    assert printed
    assert booted.act(both.demo, server, "os-getConsoleOutput", {}, status=200)["output"] == printed
    last = booted.act(both.demo, server, "os-getConsoleOutput", {"length": 1}, status=200)["output"]
    assert last == printed.split("\n")[-1]

    path = tmp_path / "console"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        endpoint = ConsoleEndpoint(kind="serial", path=str(path))
        monkeypatch.setattr(both.machines(TWO), "console", lambda *_: endpoint)
        asked = {"remote_console": {"protocol": "serial", "type": "serial"}}
        url = both.demo.post(f"/servers/{server}/remote-consoles", asked, status=200, version="2.8")["remote_console"]
        socket_path = "/" + parse_qs(urlsplit(url["url"]).query)["path"][0]
        with both.one.http.websocket_connect(socket_path, subprotocols=["binary"]) as session:
            inner = listener.accept()[0]
            with inner:
                session.send_bytes(b"who is there?")
                assert inner.recv(100) == b"who is there?"
                inner.sendall(b"the other host")
                assert session.receive_bytes() == b"the other host"
    monkeypatch.undo()
    both.machines(TWO).fail_next["console_output"] = HostError("not now")
    booted.act(both.demo, server, "os-getConsoleOutput", {}, status=503)


def test_looking_at_a_server_opens_nothing_else(both: Both) -> None:
    server, other = both.server(), both.server()
    assert asking(both, ticket(both, server), "console_output")
    for verb, arguments in (("parcel", {}), ("console", {"console": "spice"}), ("console", {}), ("landed", {})):
        with pytest.raises(HostError):
            asking(both, ticket(both, server), verb, **arguments)
    booted.act(both.admin, other, "migrate")
    both.becomes(other, "VERIFY_RESIZE", TWO)
    with pytest.raises(HostError, match=LET_GO):
        asking(both, ticket(both, other), "console_output")


# ----------------------------------------------------------------------------------------------------- the channel


def asking(both: Both, secret: str, verb: str, **arguments: Any) -> Any:
    """What a host answers to whoever reaches it."""
    peers = both.one.runtime[PEERS]
    plain = socket.create_connection(("127.0.0.1", peers.port or 0), 5)
    with for_calls().wrap_socket(plain) as made:
        stream = Stream(made)
        stream.send({"ticket": secret})
        stream.send({"verb": verb, "arguments": arguments})
        return stream.answered()


def ticket(both: Both, move: str, asked_by: str = TWO, asked_of: str = ONE) -> str:
    def write(tx: Transaction) -> str:
        return tickets.issue(tx, move, asked_by=asked_by, asked_of=asked_of)

    return both.one.database.write("ticket", write)


def test_a_ticket_opens_one_move_once(both: Both) -> None:
    server = both.server()
    both.machines(TWO).fail_next["unpack"] = HostError("not now")
    both.two.stop()
    booted.act(both.admin, server, "migrate")
    booted.until(lambda: rows.row(both.one, server).host == TWO)
    move = booted.move(both.one, server)
    good = ticket(both, move.uuid)
    assert len(asking(both, good, "parcel")["parts"]) == 1
    for secret in (good, "", "x" * 43, ticket(both, "another"), ticket(both, move.uuid, asked_of=TWO)):
        with pytest.raises(HostError, match=LET_GO):
            asking(both, secret, "parcel")
    with pytest.raises(HostError, match=LET_GO):
        asking(both, ticket(both, move.uuid, asked_by="stranger"), "parcel")
    for verb, arguments in (
        ("part", {"name": "../../etc/shadow", "begin": 0}), ("part", {"name": 1}), ("prepare", {"about": "{}"}),
        ("stream", {"name": "memory"}), ("landed", {}), ("nothing", {}), ("part", {"name": "root", "begin": -1}),
    ):  # fmt: skip
        with pytest.raises(HostError):
            asking(both, ticket(both, move.uuid), verb, **arguments)
    rows_left = both.one.database.read("tickets", lambda tx: [tuple(row) for row in tx.all(transfer_tickets.select())])
    assert all(good not in str(row) for row in rows_left)
    both.one.database.write("done", lambda tx: migrations.update(tx, move.uuid, status="error"))
    with pytest.raises(HostError, match=LET_GO):
        asking(both, ticket(both, move.uuid), "parcel")


def test_a_host_that_is_not_what_its_row_says_is_not_spoken_to(both: Both) -> None:
    server = both.server()
    both.two.stop()

    def impostor(tx: Transaction) -> None:
        from stackyard.services.compute.tables import compute_nodes

        one = both.one.runtime[PEERS]
        values = {"peer_port": one.port, "peer_certificate": "0" * 64}
        tx.execute(compute_nodes.update().where(compute_nodes.c.host == TWO).values(**values))

    both.one.database.write("impostor", impostor)
    booted.act(both.admin, server, "os-migrateLive", AUTO, version="2.25")
    booted.until(lambda: booted.move(both.one, server).status == "failed")
    both.becomes(server, "ACTIVE", ONE)
    assert "is not host" in rows.row(both.one, server).fault["message"]


@pytest.mark.parametrize("garbage", [b"", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 5000])
def test_whoever_talks_nonsense_is_let_go(both: Both, garbage: bytes) -> None:
    peers = both.one.runtime[PEERS]
    with socket.create_connection(("127.0.0.1", peers.port or 0), 5) as plain:
        plain.sendall(garbage)
        with contextlib.suppress(OSError):
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(4096):
                continue
    plain = socket.create_connection(("127.0.0.1", peers.port or 0), 5)
    with for_calls().wrap_socket(plain) as made:
        made.sendall(garbage or b"\0\0\0\1x")
        with contextlib.suppress(OSError, ssl.SSLError):
            made.unwrap()
    server = both.server()
    booted.act(both.admin, server, "os-migrateLive", AUTO, version="2.25")
    both.becomes(server, "ACTIVE", TWO)
    assert threading.active_count() < 500
