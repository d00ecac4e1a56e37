"""Installs the peers: Debian's infrastructure packages and the services from PyPI, into an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys

from scripts import environments

from bench.peers.settings import Settings

DEBIAN_PACKAGES = ("mariadb-server", "memcached", "rabbitmq-server", "build-essential", "python3-dev", "python3-venv")
REQUIREMENTS = (
    "keystone==30.*",
    "glance==33.*",
    "neutron==29.*",
    "openstack-placement==16.*",
    "nova==34.*",
    "cinder==29.*",
    "zun==18.*",
    "uwsgi",
    "pymysql",
    "pymemcache",
    "python-memcached",
    "setuptools<81",  # the services still import pkg_resources
)


def install(settings: Settings) -> None:
    """Makes the environment; needs root and the package mirrors. May be called again."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=True, env=environment)
    apt = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *DEBIAN_PACKAGES]
    subprocess.run(apt, check=True, env=environment)
    settings.home.mkdir(parents=True, exist_ok=True)
    # Debian's own Python, so that uWSGI builds against the headers of python3-dev.
    environments.make(settings.venv, REQUIREMENTS, python="/usr/bin/python3")
    print(f"the peers are installed in {settings.venv}", file=sys.stderr)
