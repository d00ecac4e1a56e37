"""The main job, step by step with timings: a cloud, containers on a tenant network, a floating IP, a closed port.

Run by `make demo`. Everything below is done with the unmodified `openstack` client; the cloud is left running.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from scripts.clients import CLIENTS, OPENSTACK, install_clients
from scripts.environments import ROOT

T = TypeVar("T")

NAMES = ("web", "visitor")


def step(text: str) -> None:
    """Begin a step."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def timed(label: str, action: Callable[[], T]) -> T:
    """Do it, and print how long it took."""
    started = time.perf_counter()
    result = action()
    print(f"  {label}  [{time.perf_counter() - started:.2f} s]", flush=True)
    return result


def run(*command: str | Path, quiet: bool = True) -> str:
    """Run a program; ends the demo with its output when it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=quiet, text=True)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{done.stdout or ''}{done.stderr or ''}")
    return done.stdout or ""


def openstack(*words: str) -> str:
    """One command of the openstack client, printed with its time; returns what it printed."""
    return timed(f"$ openstack {' '.join(words)}", lambda: run(OPENSTACK, *words))


def look(*words: str) -> Any:
    """One command of the openstack client, its answer as data."""
    return json.loads(openstack(*words, "-f", "json"))


def wait_for_status(name: str, wanted: str, seconds: float = 60) -> dict[str, Any]:
    """Poll a container until it has a status."""
    until = time.monotonic() + seconds
    while True:
        shown = run(OPENSTACK, "appcontainer", "show", name, "-f", "json")
        found: dict[str, Any] = json.loads(shown)
        if found["status"] == wanted:
            return found
        if found["status"] == "Error" or time.monotonic() > until:
            sys.exit(f"{name} is {found['status']}, not {wanted}: {found.get('status_reason')}")


def fetch(url: str) -> str:
    """Fetch a page from this host."""
    with urllib.request.urlopen(url, timeout=5) as response:
        page: str = response.read().decode()
    return page


def fetch_until(url: str, wanted: bool, seconds: float = 10) -> None:
    """Fetch until it works (or, when not wanted, until it fails); rules take effect within moments."""
    until = time.monotonic() + seconds
    while True:
        try:
            works = "nginx" in fetch(url).lower()
        except (urllib.error.URLError, OSError):
            works = False
        if works is wanted:
            return
        if time.monotonic() > until:
            sys.exit(f"{url} {'does not answer' if wanted else 'still answers'} after {seconds:g} s")


def container(name: str, *words: str) -> str:
    """Run a container on the private network, and return its IPv4 address once it runs."""
    openstack("appcontainer", "run", "--name", name, "--net", "network=private", *words)
    found = timed(f"{name} is Running", lambda: wait_for_status(name, "Running"))
    address = next((word for word in found["addresses"].split(", ") if "." in word), None)
    if address is None:
        sys.exit(f"{name} has no IPv4 address: {found['addresses']}")
    print(f"  {name} has the address {address}")
    return str(address)


def start() -> None:
    """The cloud, its images, and clients signed in to it."""
    step("1. The cloud")
    timed("clients installed", install_clients)
    output = timed("$ stackyard up", lambda: run("stackyard", "up"))
    print("  " + output.splitlines()[0])
    status = json.loads(run("stackyard", "status", "--json"))
    print(f"  one process, {status['memory_mib']} MiB, serving {', '.join(s['type'] for s in status['services'])}")
    timed("$ stackyard bake nginx busybox", lambda: run("stackyard", "bake", "nginx", "busybox"))
    os.environ["OS_CLIENT_CONFIG_FILE"] = f"{status['state_dir']}/clouds.yaml"
    os.environ["OS_CLOUD"] = "stackyard"


def clean() -> None:
    """Take away what an earlier demo left."""
    there = json.loads(run(OPENSTACK, "appcontainer", "list", "-f", "json"))
    for name in NAMES:
        if any(row["name"] == name for row in there):
            openstack("appcontainer", "delete", "--stop", name)
    until = time.monotonic() + 60
    while any(row["name"] in NAMES for row in there) and time.monotonic() < until:
        there = json.loads(run(OPENSTACK, "appcontainer", "list", "-f", "json"))


def reach(web: str, address: str) -> str:
    """From this host through a floating IP; returns the page's URL."""
    step("4. A floating IP: this host fetches the page")
    public = look("floating", "ip", "create", "public")["floating_ip_address"]
    port = look("port", "list", "--fixed-ip", f"ip-address={address}")[0]["ID"]
    openstack("floating", "ip", "set", "--port", port, public)
    openstack("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "80", "default")
    url = f"http://{public}/"
    timed(f"{url} answers from {web}", lambda: fetch_until(url, wanted=True))
    return url


def close(url: str) -> None:
    """Take the rule away again, and see the port closed."""
    step("6. A security group closes the port")
    rules = look("security", "group", "rule", "list", "default", "--ingress", "--protocol", "tcp")
    for rule in rules:
        if rule["Port Range"] == "80:80":
            openstack("security", "group", "rule", "delete", rule["ID"])
    timed(f"{url} answers no more", lambda: fetch_until(url, wanted=False))


def main() -> None:
    """All of it."""
    started = time.perf_counter()
    start()
    clean()
    step("2. A container on the tenant network")
    address = container("web", "nginx")
    step("3. A second container fetches the page, by address and by name")
    container("visitor", "busybox", "sleep", "86400")
    for place in (address, "web"):
        page = openstack("appcontainer", "exec", "visitor", "wget", "-q", "-O", "-", f"http://{place}/")
        if "nginx" not in page.lower():
            sys.exit(f"that is not the page: {page}")
    url = reach("web", address)
    step("5. Logs, exec, stats")
    print(openstack("appcontainer", "logs", "web").rstrip())
    print(openstack("appcontainer", "exec", "web", "cat", "/etc/hostname").rstrip())
    print(openstack("appcontainer", "stats", "web").rstrip())
    close(url)
    step(f"Done in {time.perf_counter() - started:.0f} s. The cloud is still up; go on with:")
    print(f"  export OS_CLIENT_CONFIG_FILE={os.environ['OS_CLIENT_CONFIG_FILE']} OS_CLOUD=stackyard")
    print(f"  export PATH={CLIENTS / 'bin'}:{ROOT / '.venv' / 'bin'}:$PATH")
    print("  openstack appcontainer list        stackyard status        stackyard why web")
    print("and remove everything without a trace with:\n  stackyard down --purge")


if __name__ == "__main__":
    main()
