"""Logging: one JSON object a line for machines, or a line of text for people; never a secret.

What is logged with `extra={...}` becomes fields of the line. The id of the request that is being served, or of the
reconciler's run, is added to every line by itself. Secrets are masked where a line is formatted, so that no caller has
to think of it: by the name of the field they stand in, and in free text by the shapes that secrets have.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import TextIO

from stackyard.core.config import Log

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request or run that the current thread or task works for."""

MASK = "***"

_SECRET_NAME = re.compile(
    r"(pass(word|phrase|wd)?|secret|token|private_?key|authorization|cookie|credential_?blob|admin_?pass)$",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"""(?P<name> (?:x-(?:auth|subject|service|storage)-token|authorization|cookie) ['"]? \s* [:=,] \s*
                | (?:password|passwd|passphrase|secret|admin_?pass) ['"]? \s* [:=] \s*)
        (?: b?"(?:[^"\\]|\\.)*" | b?'(?:[^'\\]|\\.)*' | (?:(?:bearer|basic)\s+)? [^\s'",;&{}\[\]()]+ )
      | (?P<user> ://[^\s/:@]*: ) [^\s/@]+ (?=@)
      | \b gAAAAA[\w-]{20,}=* | \b eyJ[\w-]{10,}\.[\w-]+\.[\w-]+""",
    re.IGNORECASE | re.VERBOSE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}

_access = logging.getLogger("stackyard.access")


def set_up(settings: Log, stream: TextIO | None = None) -> None:
    """Send all logging of this process to `stream` (stderr) in the configured format; may be called again."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    level = logging.getLevelName(settings.level.upper())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries have their say from warnings on; what they call information is noise beside ours.
    root.setLevel(level if settings.level == "debug" else max(level, logging.WARNING))
    logging.getLogger("stackyard").setLevel(level)
    # Nobody reads these fields, and collecting them is a third of the cost of a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def access(*, service: str, method: str, path: str, status: int, seconds: float, client: str = "") -> None:
    """Log one HTTP request. `path` comes without its query, which may hold secrets."""
    level = logging.WARNING if status >= 500 else logging.INFO
    if _access.isEnabledFor(level):
        milliseconds = round(seconds * 1000, 3)
        fields = {"service": service, "method": method, "path": path, "status": status, "ms": milliseconds}
        if client:
            fields["client"] = client
        _access.log(level, "%s %s %d", method, path, status, extra=fields)


def redact(value: object) -> object:
    """`value` with every secret in it masked, mappings and lists included."""
    if isinstance(value, str):
        return _redact_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return _redact_mapping(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(item) for item in value]
    return _redact_text(str(value))


def _redact_text(text: str) -> str:
    low = text.lower()
    # Nearly every text ends here, at a tenth of the cost of the expression below.
    named = "pass" in low or "secret" in low or "token" in low or "authori" in low or "cookie" in low
    if not (named or "@" in low or "gaaaaa" in low):
        return text
    return _SECRET_TEXT.sub(lambda found: (found["name"] or found["user"] or "") + MASK, text)


@lru_cache(1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _redact_mapping(mapping: Mapping[object, object]) -> dict[str, object]:
    return {str(key): MASK if item and _is_secret(str(key)) else redact(item) for key, item in mapping.items()}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """The record's own fields: what was given as `extra`, and the request's id."""
    extra: dict[object, object] = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    request_id = request_id_var.get()
    if request_id and "request_id" not in extra:
        extra["request_id"] = request_id
    return _redact_mapping(extra)


def _trace(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    """The traceback, with secrets that exceptions quote masked; empty when there is none."""
    if not record.exc_info and not record.stack_info:
        return ""
    parts = [formatter.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
    if record.stack_info:
        parts.append(record.stack_info)
    return str(redact("\n".join(parts)))


class JsonFormatter(logging.Formatter):
    """time (RFC 3339, UTC), level, logger, message, then the record's own fields; exception when there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line: dict[str, object] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for name, value in _fields(record).items():
            line[name if name not in line else f"{name}_"] = value
        if trace := _trace(record, self):
            line["exception"] = trace
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Time of day, level, logger, message, the record's own fields as key=value; tracebacks on lines of their own."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of text, and the traceback."""
        moment = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        own = "".join(f" {name}={value}" for name, value in _fields(record).items())
        name = record.name.removeprefix("stackyard.")
        line = f"{moment} {record.levelname.lower():<7} {name}: {redact(record.getMessage())}{own}"
        # A user's text must not be able to begin a line that looks like ours.
        line = _CONTROL.sub(lambda found: repr(found[0])[1:-1], line)
        trace = _trace(record, self)
        return f"{line}\n{trace}" if trace else line
