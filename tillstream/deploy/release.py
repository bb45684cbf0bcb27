"""What is deployed: a job's zip with its manifest, from a folder of packages into the bucket of code.

A zip is kept under the hash of its bytes, so the same package is the same object for ever, and a manifest
lies beside it: what runs can be compared with without its 100 MB.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from tillstream.clients import aws
from tillstream.clients.storage import S3Folder
from tillstream.conf import Conf, layers
from tillstream.errors import Problem
from tillstream.infra import names
from tillstream.package import archive, manifest, service
from tillstream.package.manifest import PackageManifest

SETTINGS = f"{service.PYTHON}/tillstream/resources/conf/"

# Settings that say what the state means: with another value a restored job would misread what it has.
MEANING = {
    "deployment": "the names of consumer groups and transactions begin with it",
    "source.kind": "positions are those of the other kind of stream",
    "source.kinesis.stream": "positions are those of the other stream",
    "source.kafka.topic": "positions are those of the other topic",
    "transactions.kafka.topic": "positions are those of the other topic",
    "kafka.topics.transactions": "positions are those of the other topic",
    "kafka.delivery": "open transactions of Kafka are in the state",
    "s3.bucket": "open files of the other bucket are in the state",
    "fraud.currency": "amounts in the state are in the other currency",
}


class Release(msgspec.Struct, frozen=True):
    """``key``: of the zip in the bucket of code. ``settings``: those of MEANING, as the zip has them."""

    key: str
    manifest: PackageManifest
    settings: dict[str, str]


class Packed(msgspec.Struct, frozen=True):
    """A release that is on a disk. ``properties``: group -> name -> value."""

    release: Release
    file: Path
    properties: dict[str, dict[str, str]]


def packed(job: str, folder: Path) -> Packed:
    """<job>.zip and <job>.properties.json of ``folder``. Raises Problem."""
    file, said = folder / f"{job}.zip", folder / f"{job}.properties.json"
    again = f"`tillstream package {job}` makes it"
    if not file.is_file() or not said.is_file():
        missing = said if file.is_file() else file
        raise Problem(f"there is no {missing}: {again}, or name its folder with --packages")
    if file.stat().st_size > service.MOST_BYTES:
        raise Problem(
            f"{file} is {archive.mib(file.stat().st_size)}, the service takes "
            f"{archive.mib(service.MOST_BYTES)}: {again}"
        )
    try:
        with zipfile.ZipFile(file) as held:
            found = manifest.decode(held.read(service.MANIFEST))
            settings = _settings(held, found.environment)
        groups = json.loads(said.read_text())["PropertyGroups"]
        properties = {one["PropertyGroupId"]: one["PropertyMap"] for one in groups}
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise Problem(
            f"{file} is no package that this release can read ({error}): {again}"
        ) from None
    if found.job != job:
        raise Problem(f"{file} is the package of {found.job}: {again}")
    key = f"{names.code_prefix(job)}{archive.sha256(file)[:32]}.zip"
    return Packed(Release(key, found, settings), file, properties)


def _settings(held: zipfile.ZipFile, environment: str) -> dict[str, str]:
    files = [
        name for name in held.namelist() if name.startswith(SETTINGS) and name.endswith(".yaml")
    ]
    if not files:
        return {}
    with tempfile.TemporaryDirectory() as aside:
        for name in files:
            inner = PurePosixPath(name.removeprefix(SETTINGS))
            if len(inner.parts) == 1 or inner.parts[0] == "jobs":
                path = Path(aside).joinpath(*inner.parts)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(held.read(name))
        return meaning(layers.files(Path(aside), environment))


def meaning(settings: dict[str, Any]) -> dict[str, str]:
    """Those of MEANING in nested ``settings``."""
    found = {}
    for dotted in MEANING:
        value: Any = settings
        for name in dotted.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            found[dotted] = str(value)
    return found


class Releases:
    """The bucket of code."""

    def __init__(self, conf: Conf, client: Any = None) -> None:
        self.bucket = names.code_bucket(conf)
        self.storage = S3Folder(client or aws.s3(conf), self.bucket)

    def upload(self, one: Packed) -> None:
        """What is there already is left as it is. The manifest goes last: where it is, the zip is whole."""
        key = one.release.key
        if self.storage.read(beside(key)) is None:
            self.storage.upload(key, one.file)
            self.storage.write(beside(key), msgspec.json.encode(one.release))

    def find(self, bucket: str, key: str) -> Release | None:
        """What the zip there is; None if it was not put there by `deploy`."""
        raw = self.storage.read(beside(key)) if key and bucket == self.bucket else None
        try:
            return msgspec.json.decode(raw, type=Release) if raw else None
        except msgspec.MsgspecError:
            return None


def beside(key: str) -> str:
    """Where the manifest of the zip at ``key`` is."""
    return key.removesuffix(".zip") + ".json"
