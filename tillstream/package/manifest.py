"""What is in a zip, for the one who puts it in place of another: versions, state, the engine's line."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import msgspec

from tillstream import conf as settings
from tillstream.clients.programs import outcome
from tillstream.conf import Conf
from tillstream.state_schemas.keyed.states import STATES


class PackageManifest(msgspec.Struct, omit_defaults=True):
    """manifest.json of a zip.

    flink: of PyFlink, at packing; line, runtime: how the service calls it. commit: of a clone,
    ending with ``-changed`` where files differed from it; "" elsewhere. jar: SHA-256. packages: name ->
    version. wheels: file -> SHA-256. operators: uid -> name. state_versions: the version written of each
    keyed state, by its codec's name. max_parallelism: once there is a snapshot it never changes.
    """

    job: str
    environment: str
    deployment: str
    release: str
    commit: str
    flink: str
    line: str
    runtime: str
    python: str
    jar: str
    packages: dict[str, str]
    wheels: dict[str, str]
    parallelism: int
    max_parallelism: int
    operators: dict[str, str]
    state_versions: dict[str, int]
    format: int = 1


def encode(manifest: PackageManifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1) + b"\n"


def decode(raw: bytes) -> PackageManifest:
    """Raises ValueError when ``raw`` is no manifest that this release can read."""
    try:
        return msgspec.json.decode(raw, type=PackageManifest)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no manifest of a package: {error}") from None


def release() -> str:
    """Our own version."""
    try:
        return version("tillstream")
    except PackageNotFoundError:
        return "unknown"


def commit() -> str:
    """Of the clone this runs from, "" elsewhere."""
    command = ["git", "-C", str(settings.ROOT), "describe", "--always", "--abbrev=12",
               "--dirty=-changed", "--exclude=*"]  # fmt: skip
    with suppress(OSError, subprocess.TimeoutExpired):  # no git, or one that hangs
        said = outcome(command, 30)
        if settings.is_clone() and said.returncode == 0:
            return said.stdout.strip()
    return ""


def state_versions(job: str, conf: Conf) -> dict[str, int]:
    """Version that the job will write of each of its keyed states, by the codec's name."""
    codecs = [state.codec for state in STATES if state.job == job and state.codec is not None]
    write = conf.state.write_versions
    return {codec.name: write.get(codec.name, codec.current) for codec in codecs}
