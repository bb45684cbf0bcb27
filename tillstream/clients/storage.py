"""Folders of savepoints on a local disk or on S3, by their URI; what is needed of them, no more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from tillstream.clients import aws as clients
from tillstream.conf import Conf
from tillstream.errors import Problem


class StorageError(Problem):
    """The storage does not answer or refuses; the message is one line that names the fix."""


class Storage(Protocol):
    """Files under one root; names are relative, with ``/`` between folders."""

    root: str

    def names(self) -> Iterator[tuple[str, int]]:
        """(name, bytes) of every file."""
        ...

    def folders(self) -> list[str]:
        """Names of the folders right under the root."""
        ...

    def read(self, name: str) -> bytes | None: ...
    def write(self, name: str, data: bytes) -> None: ...
    def remove(self, folder: str) -> None: ...


def open_storage(uri: str, conf: Conf) -> Storage:
    """Raises StorageError for a scheme that is neither file nor S3."""
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return Disk(Path(unquote(parts.path)))
    if parts.scheme in ("s3", "s3a"):
        return S3Folder(clients.s3(conf), parts.netloc, parts.path.strip("/"), parts.scheme)
    raise StorageError(
        f"{uri}: savepoints are kept under file:// or s3://, set savepoints.location"
    )


class Disk:
    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self.root = self._folder.as_uri()

    def names(self) -> Iterator[tuple[str, int]]:
        for path in sorted(self._folder.rglob("*")):
            if path.is_file():
                yield path.relative_to(self._folder).as_posix(), path.stat().st_size

    def folders(self) -> list[str]:
        if not self._folder.exists():
            return []
        return sorted(path.name for path in self._folder.iterdir() if path.is_dir())

    def read(self, name: str) -> bytes | None:
        path = self._folder / name
        return path.read_bytes() if path.is_file() else None

    def write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.part")
        aside.write_bytes(data)
        aside.replace(path)

    def remove(self, folder: str) -> None:
        # The metadata goes first: a removal cut short leaves no folder that looks like a savepoint.
        (self._folder / folder / "_metadata").unlink(missing_ok=True)
        shutil.rmtree(self._folder / folder, ignore_errors=True)


class S3Folder:
    def __init__(self, client: Any, bucket: str, prefix: str, scheme: str = "s3") -> None:
        self._client, self._bucket = client, bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self.root = f"{scheme}://{bucket}/{prefix}".rstrip("/")

    def names(self) -> Iterator[tuple[str, int]]:
        try:
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for item in page.get("Contents", ()):
                    name = item["Key"][len(self._prefix) :]
                    if name and not name.endswith("/"):
                        yield name, item["Size"]
        except (BotoCoreError, ClientError) as error:
            raise self._trouble(error) from None

    def folders(self) -> list[str]:
        found = []
        try:
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"):
                for item in page.get("CommonPrefixes", ()):
                    found.append(item["Prefix"][len(self._prefix) :].rstrip("/"))
        except (BotoCoreError, ClientError) as error:
            raise self._trouble(error) from None
        return sorted(found)

    def read(self, name: str) -> bytes | None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            return answer["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None
        except (BotoCoreError, ClientError) as error:
            raise self._trouble(error) from None

    def write(self, name: str, data: bytes) -> None:
        try:
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=data)
        except (BotoCoreError, ClientError) as error:
            raise self._trouble(error) from None

    def remove(self, folder: str) -> None:
        mine = [f"{self._prefix}{n}" for n, _ in self.names() if n.startswith(f"{folder}/")]
        mine.sort(key=lambda key: not key.endswith("/_metadata"))
        try:
            for key in mine:
                self._client.delete_object(Bucket=self._bucket, Key=key)
        except (BotoCoreError, ClientError) as error:
            raise self._trouble(error) from None

    def _trouble(self, error: Exception) -> StorageError:
        return StorageError(
            f"{self.root} cannot be used ({error}): see `tillstream status`, or correct "
            "savepoints.location, s3 and the credentials"
        )


def copy(source: Storage, folder: str, target: Path) -> int:
    """Copies one folder to a local disk; returns its bytes."""
    total = 0
    for name, size in source.names():
        if name.startswith(f"{folder}/"):
            data = source.read(name)
            if data is not None:
                path = target / name[len(folder) + 1 :]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                total += size
    return total
