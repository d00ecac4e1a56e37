"""Write the real services' rules down: `python -m tests.policy.upstream.refresh` (after `make bench-peers`).

One file a service, one line a rule: name, kinds of token that it accepts (`any` when it does not say), check.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
PEERS = Path(".cache/peers/venv/bin/python")
MODULES = {
    "identity": "keystone.common.policies",
    "image": "glance.policies",
    "placement": "placement.policies",
    "compute": "nova.policies",
    "network": "neutron.conf.policies",
    "block-storage": "cinder.policies",
    "container": "zun.common.policies",
}
READ = """
import importlib, json, sys
rules = importlib.import_module(sys.argv[1]).list_rules()
print(json.dumps([[rule.name, rule.scope_types or [], rule.check_str] for rule in rules]))
"""


def main() -> None:
    """Ask each service's own package."""
    for service, module in MODULES.items():
        command = [str(PEERS), "-W", "ignore", "-c", READ, module]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rules = json.loads(printed.splitlines()[-1])
        lines = [f"{name} | {','.join(scopes) or 'any'} | {' '.join(check.split())}" for name, scopes, check in rules]
        (HERE / f"{service}.txt").write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
