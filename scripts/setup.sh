#!/usr/bin/env bash
# Installs what Stackyard needs: the distribution's packages (as root), and a Python environment in .venv with the
# versions of uv.lock. Runs again at no cost; needs neither uv nor a pip newer than the distribution's.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${UV_PROJECT_ENVIRONMENT:-.venv}

say() { printf '%s\n' "setup: $*"; }

missing_packages() {
    local package
    sed -e 's/#.*//' packages.txt | tr -s ' \t' '\n' | while read -r package; do
        [ -z "$package" ] && continue
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^[ih]i' || printf '%s ' "$package"
    done
}

install_packages() {
    local missing
    command -v dpkg-query >/dev/null || { say "no dpkg here: see packages.txt for the tools to install"; return; }
    missing="$(missing_packages) $*"
    [ -n "${missing// /}" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        say "not root; install yourself: apt-get install --no-install-recommends $missing"
        return
    fi
    say "installing the distribution's packages: $missing"
    # The lists of a machine image are often older than what the mirror still has.
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    say "Python 3.11 or newer is needed" >&2
    exit 1
}

# The versions of uv.lock as pip's constraints, and the development tools as pip's requirements.
requirements() {
    "$1" - <<'PY'
import collections, pathlib, sys, tomllib

locked = collections.defaultdict(set)
for package in tomllib.loads(pathlib.Path("uv.lock").read_text())["package"]:
    if "registry" in package.get("source", {}):
        locked[package["name"]].add(package["version"])
constraints = [f"{name}=={min(versions)}" for name, versions in locked.items() if len(versions) == 1]
tools = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["dependency-groups"]["dev"]
folder = pathlib.Path(sys.prefix)
(folder / "constraints.txt").write_text("\n".join(constraints) + "\n")
(folder / "tools.txt").write_text("\n".join(tools) + "\n")
PY
}

install_with_pip() {
    local python
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages "$(basename "$(readlink -f "$(command -v "$python")")")-venv"
    fi
    "$venv/bin/python" -c '' 2>/dev/null || "$python" -m venv --clear "$venv"
    # An environment that uv made has no pip.
    "$venv/bin/python" -c 'import pip' 2>/dev/null || "$venv/bin/python" -m ensurepip >/dev/null
    requirements "$venv/bin/python"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --constraint "$venv/constraints.txt" \
        --requirement "$venv/tools.txt" --editable .
}

install_packages
# The machine's certificates, as pip uses them, under the option's older and newer name.
export UV_NATIVE_TLS=true UV_SYSTEM_CERTS=true
if command -v uv >/dev/null && UV_PROJECT_ENVIRONMENT=$venv UV_PYTHON_DOWNLOADS=never uv sync --frozen --quiet; then
    say "Python environment made by uv in $venv"
else
    install_with_pip
    say "Python environment made by pip in $venv"
fi
