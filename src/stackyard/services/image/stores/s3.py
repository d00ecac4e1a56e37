"""A store on a server that speaks S3: Amazon's, Ceph's, MinIO's, Swift's. Data goes up in parts and comes down in one.

The client library is an extra (`pip install stackyard[s3]`), imported when the store is first used. Objects are named
`<prefix><image>/<key>`. Parts of an upload that died are found and given up, so that they cost nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackyard.services.image.stores import DataMissing, StoreFault, StoreInfo

PART_BYTES = 16 << 20
_MOST_PARTS = 10_000
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_GONE = frozenset({"NoSuchKey", "404", "NoSuchUpload"})


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where objects go, and as whom."""

    endpoint: str
    name: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    prefix: str = ""


class S3Source:
    """One object: a stream that is begun anew where reading jumps to."""

    def __init__(self, client: Any, store: str, place: dict[str, str], size: int) -> None:
        self.size: int | None = size
        self._client = client
        self._store = store
        self._place = place
        self._stream: Any = None
        self._position = 0

    def read(self, position: int, length: int) -> bytes:
        """Part of the object."""
        if self.size is not None and position >= self.size:
            return b""
        with _told(self._store):
            if self._stream is None or position != self._position:
                self.close()
                answer = self._client.get_object(**self._place, Range=f"bytes={position}-")
                self._stream, self._position = answer["Body"], position
            block: bytes = self._stream.read(length)
        self._position += len(block)
        return block

    def close(self) -> None:
        """Close the stream."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class S3Store:
    """Objects of one bucket."""

    def __init__(self, info: StoreInfo, bucket: Bucket) -> None:
        self.info = info
        self._bucket = bucket
        self._made: Any = None
        self._making = threading.Lock()

    @property
    def _client(self) -> Any:
        with self._making:
            if self._made is None:
                self._made = _make_client(self._bucket, self.info.id)
            return self._made

    def _place(self, image_id: str, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": f"{self._bucket.prefix}{image_id}/{key}"}

    def prepare(self, image_id: str, key: str, path: Path) -> None:
        """Send the file; a small one at once, a large one in parts."""
        place, client = self._place(image_id, key), self._client
        size = path.stat().st_size
        with _told(self.info.id), path.open("rb") as file:
            if size <= PART_BYTES:
                client.put_object(**place, Body=file, ContentLength=size)
                return
            self._give_up_parts(place)
            upload = client.create_multipart_upload(**place)["UploadId"]
            try:
                parts = self._send_parts(place, upload, file, max(PART_BYTES, -(-size // (_MOST_PARTS - 1))))
                client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
            except BaseException:
                client.abort_multipart_upload(**place, UploadId=upload)
                raise

    def _send_parts(self, place: dict[str, str], upload: str, file: Any, part_bytes: int) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        while block := file.read(part_bytes):
            number = len(parts) + 1
            answer = self._client.upload_part(**place, UploadId=upload, PartNumber=number, Body=block)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        return parts

    def _give_up_parts(self, place: dict[str, str]) -> None:
        found = self._client.list_multipart_uploads(Bucket=place["Bucket"], Prefix=place["Key"])
        for upload in found.get("Uploads", ()):
            if upload["Key"] == place["Key"]:
                self._client.abort_multipart_upload(**place, UploadId=upload["UploadId"])

    def commit(self, image_id: str, key: str) -> None:
        """An object that is there is whole."""

    def open(self, image_id: str, key: str) -> S3Source:
        """The object."""
        place, client = self._place(image_id, key), self._client
        with _told(self.info.id):
            size = int(client.head_object(**place)["ContentLength"])
        return S3Source(client, self.info.id, place, size)

    def remove(self, image_id: str, key: str) -> None:
        """Delete the object and the parts of uploads of it that were not finished."""
        place = self._place(image_id, key)
        with _told(self.info.id):
            self._give_up_parts(place)
            self._client.delete_object(**place)

    def url(self, image_id: str, key: str) -> str:
        """The object's address without credentials."""
        host = self._bucket.endpoint.partition("://")[2].rstrip("/")
        return f"s3://{host}/{self._bucket.name}/{self._place(image_id, key)['Key']}"

    def properties(self) -> dict[str, Any]:
        """What concerns how data is sent."""
        return {
            "s3_store_large_object_size": PART_BYTES >> 20,
            "s3_store_large_object_chunk_size": PART_BYTES >> 20,
            "s3_store_thread_pools": 1,
        }


def _make_client(bucket: Bucket, store: str) -> Any:
    try:
        from botocore.config import Config
        from botocore.session import Session
    except ImportError:
        raise StoreFault(f"Store {store} needs the S3 client library: pip install 'stackyard[s3]'.") from None
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"max_attempts": 3, "mode": "standard"},
        s3={"addressing_style": "path"},
        # Checksums that only Amazon's own servers know are left out unless the server asks for them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        proxies={},
    )
    session = Session()
    session.set_config_variable("config_file", "/dev/null")
    session.set_config_variable("credentials_file", "/dev/null")
    return session.create_client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
        config=config,
    )


@contextmanager
def _told(store: str) -> Iterator[None]:
    """The library's errors as faults of the store: its codes and messages, which hold no credentials."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code = str(told.get("Code", ""))
        if code in _GONE:
            raise DataMissing(f"Store {store} does not have the data any more.") from error
        raise StoreFault(f"Store {store} refused: {code} {str(told.get('Message', ''))[:200]}".rstrip()) from error
    except (BotoCoreError, HTTPClientError, HTTPError) as error:
        raise StoreFault(f"Store {store} cannot be reached or broke off ({type(error).__name__}).") from error
