"""Consoles: addresses and their tokens, the pages behind them, the websocket's relay, and what was printed."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.websockets import WebSocketDisconnect
from tests.api.compute import rows
from tests.api.compute.booted import act
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.core.db import Transaction
from stackyard.host.errors import NotFoundError
from stackyard.host.specs import ConsoleEndpoint, MachineImage, MachineSpec
from stackyard.services.compute.consoles import output
from stackyard.services.compute.tables import console_tokens, servers

IMAGE = MachineImage(id="image", disk_format="raw", container_format="bare")


class _Echo(socketserver.StreamRequestHandler):
    """Greets as a VNC server does, and gives back what it gets; "quit" ends it."""

    def handle(self) -> None:
        self.wfile.write(b"RFB 003.008\n")
        while data := self.request.recv(1 << 16):
            if data == b"quit":
                return
            self.wfile.write(data)


class Running:
    """A server of demo's that runs on the twin, with an echo where its consoles are."""

    def __init__(self, cloud: TestCloud, path: Path, **columns: Any) -> None:
        self.cloud, self.path = cloud, path
        given = {"vm_state": "active", "task_state": None, "task": None, "power_state": 1, **columns}
        self.id = rows.insert(cloud, mark=False, **given)
        self.twin = cloud.machines[given.get("kind", "machine")]
        self.twin._images.add(IMAGE.id)
        spec = MachineSpec(id=self.id, name="one", kind="machine", image=IMAGE, memory=64, vcpus=1, hostname="one")
        self.twin.define(spec)
        self.twin.start(self.id)
        self.demo, self.admin = Nova(cloud, "demo"), Nova(cloud, "admin")

    def open(self, kind: str = "novnc", protocol: str = "vnc", **options: Any) -> Any:
        body = {"remote_console": {"protocol": protocol, "type": kind}}
        found = self.demo.post(f"/servers/{self.id}/remote-consoles", body, **{"version": "2.6", **options})
        return found if options.get("status") else found["remote_console"]

    def socket_path(self, kind: str = "novnc", protocol: str = "vnc") -> str:
        return "/" + parse_qs(urlsplit(self.open(kind, protocol)["url"]).query)["path"][0]

    def connect(self, path: str, **headers: str) -> Any:
        return self.cloud.http.websocket_connect(path, subprotocols=["binary"], headers=headers)

    def refused(self, path: str, **headers: str) -> int:
        with pytest.raises(WebSocketDisconnect) as caught, self.connect(path, **headers):
            pass
        return caught.value.code


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "console"

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(path), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield path
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def running(still_cloud: TestCloud, echo: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    made = Running(still_cloud, echo)
    real = made.twin.console

    def console(machine_id: str, kind: str) -> ConsoleEndpoint:
        return ConsoleEndpoint(kind=real(machine_id, kind).kind, path=str(echo))

    monkeypatch.setattr(made.twin, "console", console)
    return made


def age(cloud: TestCloud, seconds: int) -> None:
    """Let every token be so much older."""

    def write(tx: Transaction) -> None:
        earlier = tx.now - timedelta(seconds=seconds)
        tx.execute(console_tokens.update().values(expires_at=earlier + timedelta(seconds=600)))

    cloud.database.write("age", write)


def test_a_console_is_a_page_and_a_websocket(running: Running) -> None:
    found = running.open()
    assert (found["protocol"], found["type"]) == ("vnc", "novnc")
    page = running.cloud.http.get(found["url"])
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for text in ("<html", "</html>", "noVNC", "<script"):
        assert text in page.text
    path = "/" + parse_qs(urlsplit(found["url"]).query)["path"][0]
    with running.connect(path) as session:
        assert session.accepted_subprotocol == "binary"
        assert session.receive_bytes() == b"RFB 003.008\n"
        session.send_bytes(b"RFB 003.008\n")
        assert session.receive_bytes() == b"RFB 003.008\n"
        data = bytes(range(256)) * 2000
        session.send_bytes(data)
        got = b""
        while len(got) < len(data):
            got += session.receive_bytes()
        assert got == data
        session.send_text("typed")
        assert session.receive_bytes() == b"typed"


def test_a_session_ends_with_the_console(running: Running) -> None:
    with running.connect(running.socket_path("serial", "serial")) as session:
        assert session.receive_bytes() == b"RFB 003.008\n"
        session.send_bytes(b"quit")
        with pytest.raises(WebSocketDisconnect):
            session.receive_bytes()


def test_what_the_pages_load_is_there_and_nothing_else(running: Running) -> None:
    http = running.cloud.http
    files = (
        "vnc.js", "address.js", "novnc/core/rfb.js", "novnc/vendor/pako/lib/zlib/inflate.js", "novnc/LICENSE.txt",
        "serial.html", "serial.js", "xterm/xterm.mjs", "xterm/addon-fit.mjs", "xterm/xterm.css", "xterm/LICENSE",
    )  # fmt: skip
    for name in files:
        answer = http.get(f"/compute/console/{name}")
        assert answer.status_code == 200, name
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert http.get("/compute/console/novnc/core/rfb.js").headers["content-type"] == "text/javascript"
    for name in (
        "%2e%2e%2fpages.py",
        "novnc/%2e%2e%2f%2e%2e%2fpages.py",
        "novnc",
        "vnc.html/",
        "nothing",
        "/etc/passwd",
    ):
        answer = http.get(f"/compute/console/{name}")
        assert answer.status_code == (200 if name == "vnc.html/" else 404), name


@pytest.mark.parametrize("token", ["", "nothing", "x" * 300, "' or 1=1", "%00"])
def test_a_wrong_token_opens_nothing(running: Running, token: str) -> None:
    path = running.socket_path().partition("?")[0]
    assert running.refused(f"{path}?token={token}") == 1008
    assert running.refused(path) == 1008


def test_a_token_in_a_cookie_or_on_another_path_opens_nothing(running: Running) -> None:
    path, _, query = running.socket_path().partition("?")
    assert running.refused(path, cookie=query) == 1008
    assert running.refused(f"/websockify?{query}") == 1008
    assert running.refused(f"/network{path}?{query}") == 1008


def test_a_token_expires_and_is_kept_only_as_a_hash(running: Running) -> None:
    path = running.socket_path()
    kept = running.cloud.database.read("tokens", lambda tx: tx.all(console_tokens.select()))
    assert len(kept) == 1
    assert path.partition("token=")[2] not in str(kept)
    age(running.cloud, 590)
    with running.connect(path) as session:
        assert session.receive_bytes()
    age(running.cloud, 600)
    assert running.refused(path) == 1008
    running.open()
    assert len(running.cloud.database.read("tokens", lambda tx: tx.all(console_tokens.select()))) == 1


@pytest.mark.parametrize(
    "columns", [{"host": "elsewhere"}, {"deleted_at": True}], ids=["moved to another host", "deleted"]
)
def test_a_token_does_not_outlive_its_server_here(running: Running, columns: dict[str, Any]) -> None:
    path = running.socket_path()

    def write(tx: Transaction) -> None:
        values = {name: tx.now if value is True else value for name, value in columns.items()}
        tx.execute(servers.update().where(servers.c.id == running.id).values(values))

    running.cloud.database.write("change", write)
    assert running.refused(path) == 1008


def test_a_stopped_server_and_a_console_that_does_not_answer(running: Running) -> None:
    path = running.socket_path()
    running.path.unlink()
    assert running.refused(path) == 1011
    running.twin.stop(running.id, 0)
    assert running.refused(path) == 1008
    assert "stopped" in running.open(status=409)["message"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://testserver", True),
        ("http://testserver:8080", True),
        ("http://127.0.0.1:5000", True),
        ("https://127.0.0.1", False),
        ("http://evil.example", False),
        ("null", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_pages_of_others_open_nothing(running: Running, origin: str, allowed: bool) -> None:
    path = running.socket_path()
    host = "testserver" if "testserver" in origin else "127.0.0.1:5000"
    if allowed:
        with running.connect(path, origin=origin, host=host) as session:
            assert session.receive_bytes() == b"RFB 003.008\n"
    else:
        assert running.refused(path, origin=origin, host=host) == 1008


@pytest.mark.parametrize(
    ("protocol", "kind", "version", "text"),
    [
        ("spice", "spice-html5", "2.6", "Unavailable console type spice-html5."),
        ("rdp", "rdp-html5", "2.6", "Unavailable console type rdp-html5."),
        ("mks", "webmks", "2.8", "Unavailable console type webmks."),
        ("spice", "spice-direct", "2.99", "Unavailable console type spice-direct."),
        ("vnc", "xvpvnc", "2.6", "Invalid console type xvpvnc"),
        ("vnc", "serial", "2.6", "Invalid console type serial"),
        ("mks", "webmks", "2.7", "Invalid input for protocol"),
        ("spice", "spice-direct", "2.98", "Invalid input for type"),
        ("telnet", "novnc", "2.6", "Invalid input for protocol"),
    ],
)
def test_types_that_there_are_not(running: Running, protocol: str, kind: str, version: str, text: str) -> None:
    assert text in running.open(kind, protocol, version=version, status=400)["message"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"remote_console": None}, {"remote_console": {}}, {"remote_console": {"protocol": "vnc"}},
        {"remote_console": {"protocol": "vnc", "type": "novnc", "more": 1}},
        {"remote_console": {"protocol": 1, "type": "novnc"}},
    ],
)  # fmt: skip
def test_bodies_that_are_none(running: Running, body: Any) -> None:
    running.demo.post(f"/servers/{running.id}/remote-consoles", body, status=400, version="2.6")


def test_the_old_actions_until_2_5(running: Running) -> None:
    found = act(running.demo, running.id, "os-getVNCConsole", {"type": "novnc"}, status=200)["console"]
    assert found["type"] == "novnc"
    assert running.cloud.http.get(found["url"]).status_code == 200
    found = act(running.demo, running.id, "os-getSerialConsole", {"type": "serial"}, status=200, version="2.5")
    assert "serial.html?" in found["console"]["url"]
    fault = act(running.demo, running.id, "os-getSPICEConsole", {"type": "spice-html5"}, status=400)
    assert fault["message"] == "Unavailable console type spice-html5."
    act(running.demo, running.id, "os-getRDPConsole", {"type": "rdp-html5"}, status=410)
    fault = act(running.demo, running.id, "os-getVNCConsole", {"type": "xvpvnc"}, status=400)
    assert fault["message"] == "Invalid console type xvpvnc"
    for body in ({}, {"type": "other"}, {"type": "novnc", "x": 1}, {"type": None}):
        act(running.demo, running.id, "os-getVNCConsole", body, status=400)
    act(running.demo, running.id, "os-getVNCConsole", {"type": "novnc"}, status=400, version="2.6")
    running.open(version="2.5", status=404)


def test_states_in_which_there_is_no_console(running: Running) -> None:
    rows.change(running.cloud, running.id, mark=False, task_state="deleting")
    assert "task_state deleting" in running.open(status=409)["message"]
    rows.change(running.cloud, running.id, mark=False, task_state=None, host=None)
    assert "is not ready" in running.open(status=409)["message"]
    rows.change(running.cloud, running.id, mark=False, host="elsewhere")
    assert "elsewhere" in running.open(status=503)["message"]


def test_a_server_that_its_host_does_not_have(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(machine_id: str, kind: str) -> ConsoleEndpoint:
        raise NotFoundError(f"there is no server {machine_id}")

    monkeypatch.setattr(running.twin, "console", gone)
    running.open(status=404)
    rows.change(running.cloud, running.id, mark=False, vm_state="building")
    running.open(status=409)


def test_a_kind_of_server_without_a_screen(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running.twin, "abilities", frozenset({"serial"}))
    assert running.open(status=400)["message"] == "Unavailable console type novnc."
    assert running.open("serial", "serial")["type"] == "serial"
    act(running.demo, running.id, "os-getConsoleOutput", {}, status=501)


def test_others_get_no_console(running: Running) -> None:
    other = Nova(running.cloud, "admin", "demo")
    assert other.post(
        f"/servers/{running.id}/remote-consoles",
        {"remote_console": {"protocol": "vnc", "type": "novnc"}},
        version="2.6",
    )
    ghost = "/servers/6f3c9d1e-0000-4000-8000-00000000000a"
    body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    running.demo.post(f"{ghost}/remote-consoles", body, status=404, version="2.6")
    rows.change(running.cloud, running.id, mark=False, project_id="somebody-else")
    running.open(status=404)
    act(running.demo, running.id, "os-getConsoleOutput", {}, status=404)


def test_administrators_see_what_a_token_opens(running: Running) -> None:
    token = running.socket_path().partition("token=")[2]
    path = f"/os-console-auth-tokens/{token}"
    wanted = {"instance_uuid": running.id, "host": "testhost", "port": 0, "internal_access_path": None}
    assert running.admin.get(path, version="2.31") == {"console": wanted}
    assert running.admin.get(f"{path}?x=1", version="2.98") == {"console": wanted}
    assert running.admin.get(path, version=LATEST) == {"console": wanted}
    running.admin.get(f"{path}?x=1", version="2.99", status=400)
    running.admin.get(path, version="2.30", status=400)
    running.admin.get("/os-console-auth-tokens/nothing", version="2.31", status=404)
    running.demo.get(path, version="2.31", status=403)
    age(running.cloud, 601)
    running.admin.get(path, version="2.31", status=404)


def test_what_a_server_has_printed(running: Running) -> None:
    running.twin._machines[running.id].output = "\x1b[0mone\r\ntwo\tü\nthree\n\x00four\n"
    shown = "[0mone\ntwo\t??\nthree\nfour\n"

    def printed(body: Any, **options: Any) -> Any:
        return act(running.demo, running.id, "os-getConsoleOutput", body, **{"status": 200, **options})

    for body in ({}, {"length": None}, {"length": -1}, {"length": "-1"}, {"length": 99}):
        assert printed(body) == {"output": shown.replace("??", "\N{REPLACEMENT CHARACTER}" * 2)}
    assert printed({"length": 2}, version=LATEST) == {"output": "four\n"}
    assert printed({"length": "3"}) == {"output": "three\nfour\n"}
    assert printed({"length": 0}) == {"output": ""}
    for body in ({"length": -2}, {"length": "x"}, {"length": 1.5}, {"length": []}, {"lines": 3}, {"length": "9" * 30}):
        printed(body, status=400)
    rows.change(running.cloud, running.id, mark=False, vm_state="building", host=None)
    assert "is not ready" in printed({}, status=409)["message"]


def test_lines_are_counted_as_nova_does() -> None:
    text = "".join(f"{number}\n" for number in range(20))
    assert len(output.tail(text, 10).split("\n")) == 10
    assert output.tail("a\nb", 1) == "b"
    assert output.tail(text, None) == text
