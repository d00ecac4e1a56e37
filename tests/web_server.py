"""A web server for tests, on loopback: serves bytes by path, redirects, and breaks off when it is told to."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class WebServer:
    """Serves `content`; use as a context. `requests` are the paths asked for, in order.

    A path of `redirects` answers 302 to its value, one of `broken` ends after half of its bytes, and one of `endless`
    goes on until the client or the test goes away.
    """

    def __init__(self, content: Mapping[str, bytes]) -> None:
        self.content = dict(content)
        self.redirects: dict[str, str] = {}
        self.broken: set[str] = set()
        self.endless: set[str] = set()
        self.requests: list[str] = []
        self.closing = threading.Event()
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                served.answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.requests.append(request.path)
        request.close_connection = True
        if request.path in self.redirects:
            request.send_response(302)
            request.send_header("Location", self.redirects[request.path])
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        data = self.content.get(request.path)
        if data is None:
            request.send_error(404)
            return
        start = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        first = int(start[1]) if start else 0
        request.send_response(206 if start else 200)
        if request.path not in self.endless:
            request.send_header("Content-Length", str(len(data) - first))
        request.end_headers()
        self._send(request, data[first : len(data) // 2 if request.path in self.broken else None])

    def _send(self, request: BaseHTTPRequestHandler, data: bytes) -> None:
        try:
            request.wfile.write(data)
            while request.path in self.endless and not self.closing.wait(0.01):
                request.wfile.write(data)
        except OSError:
            pass  # the client has what it wanted
