"""Writes the peers' configuration from templates/, as DevStack would: uWSGI, MariaDB, memcached, RabbitMQ, Fernet."""

from __future__ import annotations

import shutil
import string
from pathlib import Path

from bench.peers.settings import HOST, PASSWORD, Settings

TEMPLATES = Path(__file__).with_name("templates")
SERVICES = ("keystone", "glance", "placement", "neutron", "nova", "zun")
WSGI_MODULES = {
    "keystone": "keystone.wsgi.api",
    "glance": "glance.wsgi.api",
    "placement": "placement.wsgi.api",
    "neutron": "neutron.wsgi.api",
    "nova": "nova.wsgi.osapi_compute",
    "zun": "zun.wsgi.api",
}
MAIN_FILES = {
    "keystone": "keystone.conf",
    "glance": "glance-api.conf",
    "placement": "placement.conf",
    "neutron": "neutron.conf",
    "nova": "nova.conf",
    "zun": "zun.conf",
}
PASTE_FILES = {
    "glance": "glance-api-paste.ini",
    "neutron": "api-paste.ini",
    "nova": "api-paste.ini",
    "zun": "api-paste.ini",
}
SIGN_INS = {"nova": ("placement", "neutron", "service_user")}
"""Sections by which a service signs in to others."""


def configure(settings: Settings) -> None:
    """Makes the directories and writes every file; may be called again."""
    for service in SERVICES:
        (settings.etc / service).mkdir(parents=True, exist_ok=True)
        (settings.var / service / "lock").mkdir(parents=True, exist_ok=True)
    for directory in (
        settings.log,
        settings.run,
        settings.var / "tmp",
        settings.var / "rabbitmq",
        settings.etc / "rabbitmq",
    ):
        directory.mkdir(parents=True, exist_ok=True)
    for service in SERVICES:
        _write_service(settings, service)
    _render("ml2_conf.ini", settings.etc / "neutron" / "ml2_conf.ini", {})
    rabbit = {"host": HOST, "port": str(settings.port("rabbitmq"))}
    _render("rabbitmq.conf", settings.etc / "rabbitmq" / "rabbitmq.conf", rabbit)
    (settings.etc / "rabbitmq" / "plugins").write_text("[].\n")


def database_url(settings: Settings, database: str, user: str = "") -> str:
    """SQLAlchemy's address of a service's database; the user has the database's name unless told otherwise."""
    return f"mysql+pymysql://{user or database}:{PASSWORD}@{HOST}:{settings.port('mariadb')}/{database}?charset=utf8"


def _write_service(settings: Settings, service: str) -> None:
    directory = settings.etc / service
    values = {
        "host": HOST,
        "port": str(settings.port(service)),
        "service": service,
        "password": PASSWORD,
        "keystone": settings.url("keystone"),
        "glance": settings.url("glance"),
        "memcached": f"{HOST}:{settings.port('memcached')}",
        "rabbitmq": f"rabbit://guest:guest@{HOST}:{settings.port('rabbitmq')}/",
        "websocket_port": str(settings.port("zun-websocket")),
        "database": database_url(settings, service),
        "api_database": database_url(settings, f"{service}_api", service),
        "etc": str(settings.etc),
        "var": str(settings.var),
        "log": str(settings.log),
        "venv": str(settings.venv),
        "module": WSGI_MODULES[service],
        "workers": str(settings.workers),
    }
    values["authtoken"] = string.Template((TEMPLATES / "authtoken.conf").read_text()).substitute(values)
    section = string.Template((TEMPLATES / "section.conf").read_text())
    values["sections"] = "".join(section.substitute(values, section=name) for name in SIGN_INS.get(service, ()))
    _render(MAIN_FILES[service], directory / MAIN_FILES[service], values)
    uwsgi = settings.etc / f"uwsgi-{service}.ini"
    _render("uwsgi.ini", uwsgi, values)
    with uwsgi.open("a") as file:
        file.write(_uwsgi_extra(settings, service))
    if service in PASTE_FILES:
        name = PASTE_FILES[service]
        shutil.copy(settings.venv / "etc" / service / name, directory / name)


def _uwsgi_extra(settings: Settings, service: str) -> str:
    """How each service is told where its configuration is: each has a way of its own."""
    directory = settings.etc / service
    if service == "neutron":
        files = "env = OS_NEUTRON_CONFIG_FILES=neutron.conf;ml2_conf.ini"
        return f"env = OS_NEUTRON_CONFIG_DIR={directory}\n{files}\nstart-time = %t\n"
    if service == "zun":
        return f"pyargv = --config-file {directory}/zun.conf\n"
    return f"env = OS_{service.upper()}_CONFIG_DIR={directory}\n"


def _render(template: str, path: Path, values: dict[str, str]) -> None:
    text = (TEMPLATES / template).read_text()
    path.write_text(string.Template(text).substitute(values) if values else text)
