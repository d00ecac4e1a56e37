"""A store that reads what lies at http and https addresses. Nothing can be written to it.

Every request, each redirect's as well, goes to an address that the operator's lists allow and that was checked just
before (`allowed.py`). Certificates are verified; no proxy, cookie or credential is used.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import urljoin

from stackyard.services.image.stores import DataMissing, StoreFault, StoreInfo
from stackyard.services.image.stores.allowed import Allowed, NotAllowed, Place

_MOST_REDIRECTS = 5
_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 60.0
_HEADER_SECONDS = 90.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SKIP_BYTES = 1 << 20


class _Connection(http.client.HTTPConnection):
    """A connection to one checked address, whatever the host's name resolves to by now."""

    def __init__(self, place: Place, address: str) -> None:
        super().__init__(place.host, place.port, timeout=_CONNECT_SECONDS)
        self._place = place
        self._address = address

    def connect(self) -> None:
        """Connect to the address; speak TLS with the host's name."""
        raw = socket.create_connection((self._address, self._place.port), _CONNECT_SECONDS)
        try:
            if self._place.scheme == "https":
                raw = ssl.create_default_context().wrap_socket(raw, server_hostname=self._place.host)
        except BaseException:
            raw.close()
            raise
        raw.settimeout(_IDLE_SECONDS)
        self.sock = raw

    def answer(self) -> Any:
        """The answer without its body; however slowly it drips in, not for longer than _HEADER_SECONDS."""
        patience = threading.Timer(_HEADER_SECONDS, self._abort, [self.sock])
        patience.daemon = True
        patience.start()
        try:
            return self.getresponse()
        finally:
            patience.cancel()

    @staticmethod
    def _abort(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


class WebSource:
    """What a server sends; begun anew where reading jumps to."""

    def __init__(self, store: WebStore, url: str) -> None:
        self._store = store
        self._url = url
        self._position = 0
        self._connection, self._response = store.request(url, {})
        self.size = _length(self._response)
        """Bytes that the server announces."""

    def read(self, position: int, length: int) -> bytes:
        """Part of the data. Raises StoreFault when the server breaks off."""
        if position != self._position or self._response is None:
            self._reopen(position)
        try:
            block: bytes = self._response.read1(length)
        except (OSError, http.client.HTTPException) as error:
            raise StoreFault(f"{self._url}: the server broke off ({type(error).__name__}).") from error
        self._position += len(block)
        if not block and self.size is not None and self._position < self.size:
            raise StoreFault(f"{self._url}: the server broke off after {self._position} of {self.size} bytes.")
        return block

    def _reopen(self, position: int) -> None:
        self.close()
        self._connection, self._response = self._store.request(self._url, {"Range": f"bytes={position}-"})
        self._position = position if self._response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        while self._position < position:  # the server knows no ranges
            skipped = len(self._response.read(min(_SKIP_BYTES, position - self._position)))
            if not skipped:
                raise StoreFault(f"{self._url}: the server broke off.")
            self._position += skipped

    def close(self) -> None:
        """Close the connection."""
        if self._response is not None:
            self._response.close()
            self._connection.close()
            self._response = None


class WebStore:
    """Reads from where the operator allows it."""

    def __init__(self, info: StoreInfo, allowed: Allowed) -> None:
        self.info = info
        self.allowed = allowed

    def open(self, url: str) -> WebSource:
        """Begin to read. Raises NotAllowed, DataMissing, StoreFault; the fragment of the URL stays here."""
        return WebSource(self, url)

    def request(self, url: str, headers: dict[str, str]) -> tuple[_Connection, Any]:
        """Send a GET, follow redirects, and return the connection and the answer with its body to come."""
        for _ in range(_MOST_REDIRECTS + 1):
            connection, response = self._ask(self.allowed.resolve(url), headers)
            if response.status in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
                return connection, response
            location = response.getheader("Location")
            connection.close()
            if response.status in _REDIRECTS and location:
                url = urljoin(url, location)
            elif response.status in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
                raise DataMissing(f"{url}: the server does not have it ({response.status}).")
            else:
                raise StoreFault(f"{url}: the server answered {response.status}.")
        raise StoreFault(f"{url}: more than {_MOST_REDIRECTS} redirects.")

    def _ask(self, place: Place, headers: dict[str, str]) -> tuple[_Connection, Any]:
        failure: Exception | None = None
        until = time.monotonic() + 3 * _CONNECT_SECONDS
        for address in place.addresses:
            if time.monotonic() > until:
                break
            connection = _Connection(place, address)
            try:
                sent = {"Accept-Encoding": "identity", "User-Agent": "stackyard", **headers}
                connection.request("GET", place.target, headers=sent)
                return connection, connection.answer()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                failure = error
        raise StoreFault(f"{place.host} cannot be reached ({type(failure).__name__}).") from failure


def _length(response: Any) -> int | None:
    stated = response.getheader("Content-Length", "")
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 19 else None


__all__ = ["NotAllowed", "WebSource", "WebStore"]
