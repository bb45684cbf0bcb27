"""Files under one root, on a local disk or on S3: the one place that lists, reads and writes them.

Written on boto3, not on pyarrow.fs or s3fs: the first aborts now and then as Python ends (see
clients/parquet.py) and knows neither open uploads nor S3's clock, the second wants a botocore of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from tillstream.clients import aws as clients
from tillstream.conf import Conf
from tillstream.errors import Problem

DELETED_AT_ONCE = 1_000  # S3's own limit


class StorageError(Problem):
    """The storage does not answer or refuses; the message is one line that names the fix."""


class Stored(NamedTuple):
    """One file. ``written_ms``: ms since the epoch, by the storage's own clock."""

    name: str
    bytes: int
    written_ms: int


def file_uri(folder: Path) -> str:
    """As Flink reads one: it takes %20 for three letters of a name, so nothing is escaped."""
    return f"file://{folder.absolute()}"


def local_folder(location: str) -> Path | None:
    """The folder that a path or a URI means, None when it is not on a local disk."""
    if not location.startswith("file:"):
        return None if re.match(r"[a-z0-9]+:/", location) else Path(location)
    path = re.sub("^file:(//localhost(?=/))?/*", "/", location)
    plain = Path(unquote(path))  # as other programs write it
    return plain if plain.exists() and not Path(path).exists() else Path(path)


def open_storage(uri: str, conf: Conf) -> Storage:
    """The folder at ``uri``. Raises StorageError for a scheme that is neither file nor S3."""
    if folder := local_folder(uri):
        return Disk(folder)
    parts = urlsplit(uri)
    if parts.scheme in ("s3", "s3a") and parts.netloc:
        client = clients.listening(conf, "s3")
        return S3Folder(client, parts.netloc, parts.path.strip("/"), parts.scheme)
    raise StorageError(
        f"{uri} is neither file:// nor s3://BUCKET: correct it, or savepoints.location"
    )


def open_bucket(conf: Conf) -> S3Folder:
    """The bucket of conf, where histories are. Raises Unreachable if nobody listens at its endpoint."""
    return S3Folder(clients.listening(conf, "s3"), conf.s3.bucket)


def visible(files: Iterable[Stored], under: str = "") -> Iterator[Stored]:
    """Without empty files and what readers of Parquet skip: names with a part, after ``under``, that
    begins with a dot or an underscore."""
    for file in files:
        parts = file.name.removeprefix(under).split("/")
        if file.bytes and not any(part.startswith((".", "_")) for part in parts):
            yield file


def of_days(
    bucket: S3Folder, prefix: str, first: str = "", last: str = ""
) -> Iterator[tuple[str, Stored]]:
    """Day (YYYY-MM-DD) and file of a history, by day; other days than ``first`` to ``last`` are not even
    listed. "" is no bound."""
    under = f"{prefix}/date="
    for file in visible(bucket.files(under, after=under + first), prefix):
        day = file.name.removeprefix(under).partition("/")[0]
        if last and day > last:
            return
        yield day, file


def copy(source: Storage, folder: str, target: Path) -> int:
    """Copies one folder to a local disk; returns its bytes."""
    total = 0
    for file in source.files(f"{folder}/"):
        data = source.read(file.name)
        if data is not None:
            path = target / file.name.removeprefix(f"{folder}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            total += file.bytes
    return total


class Disk:
    """Names are relative to ``root``, with ``/`` between folders. All calls raise StorageError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self.root = file_uri(self._folder)

    def files(self, under: str = "") -> Iterator[Stored]:
        """Every file whose name begins with ``under``, by name."""
        inside = [
            Path(folder) / name for folder, _, names in os.walk(self._folder) for name in names
        ]
        for path in sorted(inside):
            name = path.relative_to(self._folder).as_posix()
            if name.startswith(under):
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    found = path.stat()
                    yield Stored(name, found.st_size, found.st_mtime_ns // 1_000_000)

    def folders(self) -> list[str]:
        """Names of the folders right under the root."""
        if not self._folder.exists():
            return []
        return sorted(path.name for path in self._folder.iterdir() if path.is_dir())

    def read(self, name: str) -> bytes | None:
        """The file's bytes, None if there is none."""
        path = self._folder / name
        return path.read_bytes() if path.is_file() else None

    def write(self, name: str, data: bytes, private: bool = False) -> None:
        """Replaces the file whole: a reader sees the old or the new. ``private``: its owner's alone."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.part")
        aside.unlink(missing_ok=True)
        aside.touch(0o600 if private else 0o666)
        aside.write_bytes(data)
        aside.replace(path)

    def remove(self, folder: str) -> None:
        # The metadata goes first: a removal cut short leaves no folder that looks like a savepoint.
        (self._folder / folder / "_metadata").unlink(missing_ok=True)
        shutil.rmtree(self._folder / folder, ignore_errors=True)


class S3Folder:
    """A bucket, or what is under a prefix of it, with the calls of ``Disk`` and more."""

    def __init__(self, client: Any, bucket: str, prefix: str = "", scheme: str = "s3") -> None:
        self._client, self._bucket = client, bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self.root = f"{scheme}://{bucket}/{prefix}".rstrip("/")

    def files(self, under: str = "", after: str = "") -> Iterator[Stored]:
        """As ``Disk``, a thousand per request, asked for as they are read. ``after``: names up to it are
        left out and cost nothing."""
        begins = {"Marker": self._prefix + after} if after else {}
        listed = self._pages("list_objects", "Contents", Prefix=self._prefix + under, **begins)
        for item in listed:
            name = item["Key"][len(self._prefix) :]
            if name and not name.endswith("/"):
                written_ms = int(item["LastModified"].timestamp() * 1000)
                yield Stored(name, item["Size"], written_ms)

    def folders(self) -> list[str]:
        listed = self._pages("list_objects", "CommonPrefixes", Prefix=self._prefix, Delimiter="/")
        return sorted(item["Prefix"][len(self._prefix) :].rstrip("/") for item in listed)

    def read(self, name: str) -> bytes | None:
        with self._asked():
            found = self._unless_absent(self._client.get_object, name)
            return found["Body"].read() if found else None

    def write(self, name: str, data: bytes, private: bool = False) -> None:
        """``private`` is a disk's; who reads a bucket is its policy's to say."""
        with self._asked():
            self._client.put_object(**self._at(name), Body=data)

    def remove(self, folder: str) -> None:
        mine = [file.name for file in self.files(f"{folder}/")]
        # One by one, the metadata first, as on a disk.
        for name in sorted(mine, key=lambda name: not name.endswith("/_metadata")):
            with self._asked():
                self._client.delete_object(**self._at(name))

    # -- what only S3 has ---------------------------------------------------------------------------

    def get(self, name: str) -> bytes:
        """``read`` of a file that must be there."""
        data = self.read(name)
        if data is None:
            raise StorageError(f"{self.root}/{name} is gone: was it deleted meanwhile? Try again")
        return data

    def size(self, name: str) -> int | None:
        """Bytes of one file, None if there is none."""
        with self._asked():
            found = self._unless_absent(self._client.head_object, name)
            return int(found["ContentLength"]) if found else None

    def upload(self, name: str, file: Path) -> None:
        """``write`` of a file that need not fit into memory; S3 takes 5 GB in one request."""
        with self._asked(), file.open("rb") as data:
            self._client.put_object(**self._at(name), Body=data)

    def tagged(self, name: str) -> tuple[bytes, str] | None:
        """What is there, and the tag that ``swap`` goes by; None if there is none."""
        with self._asked():
            found = self._unless_absent(self._client.get_object, name)
            return (found["Body"].read(), found["ETag"]) if found else None

    def swap(self, name: str, data: bytes, tag: str | None) -> str | None:
        """Writes if the file is still as ``tag`` says, None: not there. Returns the new tag, None if
        somebody else was first."""
        held = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        with self._asked():
            try:
                answer = self._client.put_object(**self._at(name), Body=data, **held)
            except ClientError as error:
                # 409: of two at the same moment; 404: what was to match is gone.
                status = error.response["ResponseMetadata"].get("HTTPStatusCode")
                absent = status == 404 and error.response["Error"].get("Code") != "NoSuchBucket"
                if status in (409, 412) or absent:
                    return None
                raise
            return str(answer["ETag"])

    def delete(self, names: list[str]) -> None:
        for at in range(0, len(names), DELETED_AT_ONCE):
            some = [{"Key": self._prefix + name} for name in names[at : at + DELETED_AT_ONCE]]
            with self._asked():
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": some, "Quiet": True}
                )
            if errors := answer.get("Errors"):
                raise StorageError(f"{errors[0]['Key']} is not deleted: {errors[0]['Message']}")

    def move(self, name: str, to: str) -> None:
        with self._asked():
            self._client.copy_object(**self._at(to), CopySource=self._at(name))
            self._client.delete_object(**self._at(name))

    def uploads(self) -> set[str]:
        """Names of files whose upload has begun and is not finished."""
        listed = self._pages("list_multipart_uploads", "Uploads", Prefix=self._prefix)
        return {item["Key"][len(self._prefix) :] for item in listed}

    def now_ms(self) -> int:
        """What S3's own clock says, which dates its files."""
        with self._asked():
            answer = self._client.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        return int(parsedate_to_datetime(date).timestamp() * 1000)

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + name}

    def _unless_absent(
        self, ask: Callable[..., dict[str, Any]], name: str
    ) -> dict[str, Any] | None:
        try:
            return ask(**self._at(name))
        except ClientError as error:
            status = error.response["ResponseMetadata"].get("HTTPStatusCode")
            if status != 404 or error.response["Error"].get("Code") == "NoSuchBucket":
                raise
            return None

    def _pages(self, operation: str, items: str, **options: str) -> Iterator[dict[str, Any]]:
        """Of S3's first way to list, not its second: there a page begins after a key, which every S3 takes
        alike. The second one's token comes encoded from the local stand-in, so page two begins again."""
        with self._asked():
            paginator = self._client.get_paginator(operation)
            for page in paginator.paginate(Bucket=self._bucket, **options):
                yield from page.get(items, ())

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise StorageError(
                f"{self.root} cannot be used ({error}): start the local stack with `tillstream up`, "
                "or correct s3.bucket, s3.endpoint, savepoints.location and the credentials"
            ) from None


Storage = Disk | S3Folder
