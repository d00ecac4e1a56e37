"""nftables in process: one atomic transaction a call, and listings that show whether a chain is still as written.

Every rule carries a digest of its own text as its comment. Comparing comments tells whether somebody changed a chain,
whatever way the installed version of nft prints rules.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stackyard.host.errors import HostError
from stackyard.host.network.netns import close_later

_OUTPUT_JSON, _OUTPUT_TERSE = 1 << 4, 1 << 11


class NftError(HostError):
    """The kernel or the parser refused a transaction; nothing of it is in force."""


def digest(rule: str) -> str:
    """What stands as a rule's comment."""
    return hashlib.blake2s(rule.encode(), digest_size=4).hexdigest()


@dataclass(frozen=True)
class Chain:
    """A chain as it shall be. `hook` makes it a base chain; `note` stands as the comment of an empty first rule.

    Of a chain that is not `ordered` the rules may stand in any order.
    """

    name: str
    rules: tuple[str, ...] = ()
    hook: str = ""
    note: str = ""
    ordered: bool = True

    def comments(self) -> tuple[str, ...]:
        """What a listing shows while nobody has touched the chain."""
        digests = tuple(map(digest, self.rules))
        return (self.note, *digests) if self.note else digests

    def declare(self, table: str) -> str:
        """Make the chain, empty or as it is; other chains may then jump to it."""
        return f"add chain {table} {self.name} {self.hook}\n"

    def text(self, table: str) -> str:
        """Make the chain hold exactly these rules."""
        rules = ("continue", *self.rules) if self.note else self.rules
        lines = [self.declare(table), f"flush chain {table} {self.name}\n"]
        for rule, comment in zip(rules, self.comments(), strict=True):
            lines.append(f'add rule {table} {self.name} {rule} comment "{comment}"\n')
        return "".join(lines)

    def change_text(self, table: str, before: Chain, handles: Mapping[str, int]) -> str:
        """Make the chain, which is not ordered and holds the rules of `before`, hold these: rule by rule.

        `handles` are those of the rules by their comments. Where one is missing, all rules are written anew.
        """
        gone = [digest(rule) for rule in before.rules if rule not in self.rules]
        if any(comment not in handles for comment in gone):
            return self.text(table)
        lines = [f"delete rule {table} {self.name} handle {handles[comment]}\n" for comment in gone]
        known = set(before.rules)
        lines += [
            f'add rule {table} {self.name} {rule} comment "{digest(rule)}"\n'
            for rule in self.rules
            if rule not in known
        ]
        return "".join(lines)


@dataclass(frozen=True)
class Listing:
    """A table as the kernel has it: comments by chain, element keys by set or map."""

    chains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    elements: dict[str, frozenset[str]] = field(default_factory=dict)

    def holds(self, chain: Chain) -> bool:
        """Whether the chain is there, unchanged."""
        found, wanted = self.chains.get(chain.name), chain.comments()
        if chain.ordered or found is None:
            return found == wanted
        return found[:1] == wanted[:1] and sorted(found) == sorted(wanted)

    def has(self, name: str, key: str) -> bool:
        """Whether the set or map has the element."""
        return key in self.elements.get(name, frozenset())


def _element_key(element: Any) -> str:
    if isinstance(element, list):
        element = element[0]
    if isinstance(element, dict) and "elem" in element:
        element = element["elem"]["val"]
    if isinstance(element, dict) and "prefix" in element:
        return f"{element['prefix']['addr']}/{element['prefix']['len']}"
    if isinstance(element, dict) and "range" in element:
        return "-".join(map(str, element["range"]))
    return str(element)


def parse_listing(document: str) -> Listing:
    """Read `nft -j list table`."""
    chains: dict[str, list[str]] = {}
    elements: dict[str, frozenset[str]] = {}
    for entry in json.loads(document or '{"nftables": []}')["nftables"]:
        if "chain" in entry:
            chains.setdefault(entry["chain"]["name"], [])
        elif "rule" in entry:
            chains.setdefault(entry["rule"]["chain"], []).append(entry["rule"].get("comment", ""))
        else:
            collection = entry.get("map") or entry.get("set")
            if collection:
                elements[collection["name"]] = frozenset(_element_key(item) for item in collection.get("elem", []))
    return Listing({name: tuple(comments) for name, comments in chains.items()}, elements)


class _Library:
    """The shared library, loaded once."""

    loaded: ctypes.CDLL | None = None

    @classmethod
    def load(cls) -> ctypes.CDLL:
        if cls.loaded is None:
            try:
                library = ctypes.CDLL("libnftables.so.1")
            except OSError as error:
                raise HostError("libnftables.so.1 is not installed (Debian package libnftables1)") from error
            library.nft_ctx_new.restype = ctypes.c_void_p
            library.nft_ctx_new.argtypes = [ctypes.c_uint32]
            library.nft_ctx_free.argtypes = [ctypes.c_void_p]
            library.nft_ctx_buffer_output.argtypes = [ctypes.c_void_p]
            library.nft_ctx_buffer_error.argtypes = [ctypes.c_void_p]
            library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
            library.nft_ctx_get_output_buffer.argtypes = [ctypes.c_void_p]
            library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
            library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
            library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
            library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
            cls.loaded = library
        return cls.loaded


class Nftables:
    """nftables of the namespace that the calling thread is in when this is made; not for two threads at once.

    Every transaction ends with the commands `after`.
    """

    def __init__(self, after: str = "") -> None:
        self._after = after
        self._library = _Library.load()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise HostError("nftables does not answer in this namespace")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, text: str) -> None:
        """Apply the commands, all or none. Raises NftError."""
        self._run(text + self._after, 0)

    def list_text(self, table: str) -> str:
        """The table as nft writes it, without the elements of its sets and maps; nothing when there is none."""
        try:
            return self._run(f"list table {table}", _OUTPUT_TERSE)
        except NftError as error:
            if "No such file" in str(error):
                return ""
            raise

    def list_table(self, table: str) -> Listing:
        """The table as it is now; an empty listing when there is none."""
        try:
            return parse_listing(self._run(f"list table {table}", _OUTPUT_JSON))
        except NftError as error:
            if "No such file" in str(error):
                return Listing()
            raise

    def list_set(self, table: str, name: str) -> frozenset[str]:
        """The elements of a set; none when it is not there."""
        return self._keys(f"set {table} {name}", name)

    def list_map(self, table: str, name: str) -> frozenset[str]:
        """The keys of a map; none when it is not there."""
        return self._keys(f"map {table} {name}", name)

    def _keys(self, what: str, name: str) -> frozenset[str]:
        try:
            return parse_listing(self._run(f"list {what}", _OUTPUT_JSON)).elements.get(name, frozenset())
        except NftError as error:
            if "No such file" in str(error):
                return frozenset()
            raise

    def handles(self, table: str, chain: str) -> dict[str, int]:
        """The handles of a chain's rules by their comments; none when it is not there."""
        try:
            document = self._run(f"list chain {table} {chain}", _OUTPUT_JSON)
        except NftError as error:
            if "No such file" in str(error):
                return {}
            raise
        entries = [entry["rule"] for entry in json.loads(document)["nftables"] if "rule" in entry]
        return {rule.get("comment", ""): rule["handle"] for rule in entries}

    def tables(self) -> list[str]:
        """Every table of the namespace, as `family name`."""
        document = json.loads(self._run("list tables", _OUTPUT_JSON) or '{"nftables": []}')
        found = [entry["table"] for entry in document["nftables"] if "table" in entry]
        return [f"{table['family']} {table['name']}" for table in found]

    def ask(self, text: str) -> str:
        """The JSON document that a command answers with. Raises NftError."""
        return self._run(text, _OUTPUT_JSON)

    def close(self) -> None:
        """Give the socket back. The kernel waits there for what was deleted to be unused, so nobody waits with it."""
        context, self._context = self._context, None
        if context:
            close_later(lambda: self._library.nft_ctx_free(context))

    def _run(self, text: str, flags: int) -> str:
        self._library.nft_ctx_output_set_flags(self._context, flags)
        result = self._library.nft_run_cmd_from_buffer(self._context, text.encode())
        output = self._library.nft_ctx_get_output_buffer(self._context) or b""
        error = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if result != 0:
            raise NftError("nftables refused: " + error.decode(errors="replace").strip()[:400])
        return str(output.decode(errors="replace"))
