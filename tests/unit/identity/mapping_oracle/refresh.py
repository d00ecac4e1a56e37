"""Write down what Keystone's own engine makes of mappings: `python -m tests.unit.identity.mapping_oracle.refresh`.

Mappings and attributes are drawn at random, always the same ones. Needs the benchmark's Keystone (`make bench-peers`).
A case whose local texts name `whitelist` or `blacklist` values uses them for groups alone: Keystone lists those in no
particular order.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases.json"
PEERS = Path(".cache/peers/venv/bin/python")
NUMBER = 300
ASK = """
import json, logging, sys
logging.disable(logging.CRITICAL)
from keystone.federation import utils
def told(case):
    made = utils.IDP_ATTRIBUTE_MAPPING_SCHEMAS[case["version"]]["processor"]("m", case["rules"])
    try:
        found = made.process(case["attributes"])
    except Exception as error:
        return type(error).__name__
    return found
print(json.dumps([told(case) for case in json.load(sys.stdin)]))
"""
NAMES = ("UserName", "Email", "Groups", "Kind", "Dept")
WORDS = (
    "jo",
    "al",
    "jo@example.org",
    "staff",
    "admins",
    "a b",
    "x.y",
    "it's",
    'say "so"',
    "{0}",
    "['in', 'list']",
    "",
    "ü",
)
PATTERNS = ("^jo", "a", "example\\.org$", ".*", "^$", "[xy]\\.", "(?i)STAFF", "\\bb", "^(?!jo)")


class Draw:
    """Random mappings and attributes."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def attributes(self) -> dict[str, str]:
        """Attributes with one or more values."""
        chosen = self.random.sample(NAMES, self.random.randint(1, len(NAMES)))
        return {name: ";".join(self.random.choices(WORDS, k=self.random.choice((1, 1, 2, 3)))) for name in chosen}

    def requirement(self) -> dict[str, Any]:
        """A remote requirement."""
        found: dict[str, Any] = {"type": self.random.choice(NAMES)}
        word = self.random.choice(("", "", "", "any_one_of", "not_any_of", "whitelist", "blacklist"))
        if word:
            regex = self.random.random() < 0.4
            found[word] = self.random.sample(PATTERNS if regex else WORDS, self.random.randint(0, 4))
            if regex or self.random.random() < 0.2:
                found["regex"] = regex
        return found

    def rule(self, version: str) -> dict[str, Any]:
        """A rule."""
        remote = [self.requirement() for _ in range(self.random.randint(1, 3))]
        passed = [one for one in remote if "any_one_of" not in one and "not_any_of" not in one]
        plain = [f"{{{index}}}" for index, one in enumerate(passed) if set(one) == {"type"}]
        listed = [f"{{{index}}}" for index in range(len(passed))]
        if self.random.random() < 0.05:
            plain.append("{9}")
        return {
            "local": [self.local(version, plain, listed) for _ in range(self.random.randint(1, 2))],
            "remote": remote,
        }

    def local(self, version: str, plain: list[str], listed: list[str]) -> dict[str, Any]:
        """What a rule makes."""
        text = lambda: self.random.choice(["fixed", "{{0}}", *plain, *(f"a-{one}" for one in plain)])  # noqa: E731
        of_list = lambda: self.random.choice(["fixed", *listed, *listed])  # noqa: E731
        domain = self.random.choice(({"id": "d1"}, {"name": "Default"}))
        parts: dict[str, Any] = {
            "user": self.random.choice(
                ({"name": text()}, {"id": text(), "type": "local"}, {"name": text(), "email": text(), "domain": domain})
            ),
            "group": self.random.choice(({"id": text()}, {"name": text(), "domain": domain})),
            "groups": of_list(),
            "group_ids": of_list(),
            "projects": [{"name": text(), "roles": [{"name": "member"}]}],
        }
        chosen = self.random.sample(sorted(parts), self.random.randint(1, 3))
        found = {name: parts[name] for name in chosen}
        if "groups" in found or self.random.random() < 0.2:
            found["domain"] = domain
        if version != "1.0" and "projects" in found and self.random.random() < 0.5:
            found["projects"][0]["domain"] = {"name": text()}
        return found

    def case(self) -> dict[str, Any]:
        """One question."""
        version = self.random.choice(("1.0", "2.0", "3.0"))
        rules = [self.rule(version) for _ in range(self.random.randint(1, 3))]
        return {"version": version, "rules": rules, "attributes": self.attributes()}


def main() -> None:
    """Ask, and write questions and answers."""
    draw = Draw(30)
    cases = [draw.case() for _ in range(NUMBER)]
    command = [str(PEERS), "-W", "ignore", "-c", ASK]
    answer = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True, check=True).stdout
    answers = json.loads(answer.splitlines()[-1])
    lines = [
        json.dumps({**case, "answer": told}, ensure_ascii=False) for case, told in zip(cases, answers, strict=True)
    ]
    CASES.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
