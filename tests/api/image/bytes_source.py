"""What a store of the tests' own gives when it is asked for data."""

from __future__ import annotations


class BytesSource:
    """Bytes that are at hand."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size: int | None = len(data)

    def read(self, position: int, length: int) -> bytes:
        """Part of them."""
        return self._data[position : position + length]

    def close(self) -> None:
        """Nothing to close."""
