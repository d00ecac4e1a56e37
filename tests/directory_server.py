"""An LDAP directory of a test's own: Debian's slapd on a port of loopback, gone when the test ends.

People of it: alice and bob (password: the name and "-secret"), carol, whose account is off; the groups staff (alice,
bob) and admins (alice). `modify` and its like change it as an administrator of the directory would.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

import ldap3
import pytest

SUFFIX = "dc=example,dc=org"
ROOT_DN = f"cn=admin,{SUFFIX}"
ROOT_PASSWORD = "directory-root-secret"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
START_SECONDS = 20

CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {root}/slapd.pid
sizelimit 100
TLSCertificateFile {root}/tls/server.pem
TLSCertificateKeyFile {root}/tls/server.key
database mdb
maxsize 67108864
suffix "{suffix}"
rootdn "{root_dn}"
rootpw {password}
directory {root}/data
dbnosync
"""


class DirectoryServer:
    """A running slapd."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.certificate = root / "tls" / "server.pem"
        self.port, self.tls_port = _free_ports(2)
        self.url = f"ldap://127.0.0.1:{self.port}"
        self.tls_url = f"ldaps://127.0.0.1:{self.tls_port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with the data that it had; AssertionError with its output when it does not answer."""
        (self.root / "data").mkdir(exist_ok=True)
        if not self.certificate.exists():
            _make_certificate(self.certificate)
        configuration = self.root / "slapd.conf"
        text = CONFIGURATION.format(root=self.root, suffix=SUFFIX, root_dn=ROOT_DN, password=ROOT_PASSWORD)
        configuration.write_text(text)
        log = (self.root / "slapd.log").open("ab")
        slapd = shutil.which("slapd", path=f"{os.environ['PATH']}:/usr/sbin") or "slapd"
        self._process = subprocess.Popen(
            [slapd, "-f", str(configuration), "-h", f"{self.url}/ {self.tls_url}/", "-d", "0"], stdout=log, stderr=log
        )
        until = monotonic() + START_SECONDS
        while not _answers(self.port):
            ended = self._process.poll()
            assert ended is None, f"slapd ended with {ended}: {(self.root / 'slapd.log').read_text()}"
            assert monotonic() < until, "slapd does not answer"

    def stop(self) -> None:
        """End it; its data stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    @contextlib.contextmanager
    def administrator(self) -> Iterator[ldap3.Connection]:
        """A connection that may change everything."""
        server = ldap3.Server(self.url, get_info=ldap3.NONE)
        with ldap3.Connection(server, ROOT_DN, ROOT_PASSWORD, raise_exceptions=True) as connection:
            yield connection

    def add(self, dn: str, kind: str | list[str], **attributes: Any) -> None:
        """Add an entry."""
        with self.administrator() as connection:
            connection.add(dn, kind, attributes)

    def add_person(self, name: str, **attributes: Any) -> str:
        """Add a person with the password `{name}-secret`; returns the DN."""
        dn = f"uid={name},{PEOPLE}"
        values = {"cn": name.title(), "sn": name.title(), "userPassword": f"{name}-secret", **attributes}
        self.add(dn, "inetOrgPerson", **values)
        return dn

    def modify(self, dn: str, **attributes: list[str]) -> None:
        """Give attributes other values; none removes one."""
        with self.administrator() as connection:
            connection.modify(dn, {name: [(ldap3.MODIFY_REPLACE, values)] for name, values in attributes.items()})

    def delete(self, dn: str) -> None:
        """Delete an entry."""
        with self.administrator() as connection:
            connection.delete(dn)

    def options(self, **changes: Any) -> dict[str, Mapping[str, Any]]:
        """A domain's configuration for this directory."""
        ldap = {
            "url": self.url,
            "user": ROOT_DN,
            "password": ROOT_PASSWORD,
            "suffix": SUFFIX,
            "user_tree_dn": PEOPLE,
            "user_objectclass": "inetOrgPerson",
            "user_id_attribute": "uid",
            "user_name_attribute": "uid",
            "user_enabled_attribute": "employeeType",
            "user_enabled_default": "True",
            "group_tree_dn": GROUPS,
            "group_objectclass": "groupOfNames",
            "group_id_attribute": "cn",
            "group_name_attribute": "cn",
        }
        return {"identity": {"driver": "ldap"}, "ldap": ldap | changes}

    def fill(self) -> None:
        """The people and groups above."""
        self.add(SUFFIX, ["dcObject", "organization"], dc="example", o="Example")
        for tree in (PEOPLE, GROUPS):
            self.add(tree, "organizationalUnit")
        alice = self.add_person("alice", mail="alice@example.org", description="the first")
        bob = self.add_person("bob")
        self.add_person("carol", employeeType="False")
        self.add(f"cn=staff,{GROUPS}", "groupOfNames", member=[alice, bob], description="all who work")
        self.add(f"cn=admins,{GROUPS}", "groupOfNames", member=[alice])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _make_certificate(path: Path) -> None:
    """A certificate for 127.0.0.1 that signs itself, and its key beside it."""
    path.parent.mkdir(exist_ok=True)
    subprocess.run(
        [
            *["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
            *["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
            *["-keyout", str(path.with_suffix(".key")), "-out", str(path)],
        ],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def directory_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DirectoryServer]:
    """A directory with people in it."""
    server = DirectoryServer(tmp_path_factory.mktemp("directory"))
    try:
        server.start()
        server.fill()
        yield server
    finally:
        server.stop()
