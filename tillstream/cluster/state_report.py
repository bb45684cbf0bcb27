"""What a savepoint holds: bytes a key by job and operator, versions found, and what a full house takes."""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mmh3

from tillstream.clients.java import java, java_options, wheel
from tillstream.clients.programs import outcome
from tillstream.clients.storage import file_uri, local_folder
from tillstream.cluster.savepoints import SavepointError
from tillstream.jars import jar_set
from tillstream.state_schemas.keyed import states
from tillstream.state_schemas.keyed.states import STATES

TIMERS = (
    "_timer_state/"  # what the engine calls an operator's timers; so many keys as it has states
)
MAIN = "io.tillstream.flink.SavepointReport"
READ_TIMEOUT_S = 1800.0


class StateSize(NamedTuple):
    """One keyed state of one operator. Sizes in bytes, as the savepoint has them.

    ``keys``: distinct keys. ``versions``: values by the version they were written in.
    ``projected``: bytes of all keys at full size, None for a state nobody has listed.
    """

    job: str
    uid: str
    name: str
    kind: str
    keys: int
    key_bytes: int
    value_bytes: int
    value_p50: int
    value_p99: int
    value_max: int
    versions: dict[str, int]
    full_keys: int | None
    projected: int | None

    @property
    def bytes_a_key(self) -> float:
        return (self.key_bytes + self.value_bytes) / self.keys if self.keys else 0.0


class Report(NamedTuple):
    """``states`` by size, largest first, without empty ones. ``positions``: bytes of what operators
    keep beside keys, as source offsets."""

    savepoint: str
    states: list[StateSize]
    positions: int
    max_parallelism: int


def operator_id(uid: str) -> str:
    """The name in hex under which a savepoint keeps an operator's state.

    MurmurHash3 (x64, 128 bits, seed 0) of the uid's UTF-8, as Flink makes it for an operator with a
    uid; savepoints of Flink 1.x hold the hash alone.
    """
    return mmh3.mmh3_x64_128_digest(uid.encode()).hex()


def report(savepoint: str) -> Report:
    """Raises SavepointError."""
    raw = read(savepoint)
    sizes = []
    for operator in raw["operators"]:
        for found in operator["states"]:
            if found["entries"]:
                sizes.append(_size(operator["id"], found))
    sizes.sort(key=lambda size: -(size.key_bytes + size.value_bytes))
    return Report(
        savepoint,
        sizes,
        sum(operator["operator_state_bytes"] for operator in raw["operators"]),
        max((operator["max_parallelism"] for operator in raw["operators"]), default=0),
    )


def _size(operator: str, found: dict[str, Any]) -> StateSize:
    ours = {operator_id(state.uid): state for state in STATES}
    uid = ours[operator].uid if operator in ours else operator
    known = states.find(uid, found["name"])
    if known is None and operator in ours and found["name"].startswith(TIMERS):
        known = ours[operator]._replace(codec=None)
    projected = None
    if known is not None and found["keys"]:
        projected = round((found["key_bytes"] + found["value_bytes"]) / found["keys"] * known.keys)
    return StateSize(
        job=known.job if known else "?",
        uid=uid,
        name=found["name"],
        kind=found["kind"].lower(),
        keys=found["keys"],
        key_bytes=found["key_bytes"],
        value_bytes=found["value_bytes"],
        value_p50=found["value_p50"],
        value_p99=found["value_p99"],
        value_max=found["value_max"],
        versions=found["versions"] if known and known.codec else {},
        full_keys=known.keys if known else None,
        projected=projected,
    )


def read(savepoint: str, samples: int = 0) -> dict[str, Any]:
    """What io.tillstream.flink.SavepointReport prints. Raises SavepointError."""
    folder = _folder(savepoint)
    jar = jar_set().job
    if not jar.exists():
        raise SavepointError("no job jar: build it with `python -m tillstream.jars`")
    flink = wheel()
    classpath = [jar, *(flink / "lib").glob("*.jar"), *(flink / "opt").glob("flink-python-*.jar")]
    command = [
        java(), "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *java_options(),
        "-Dlog4j2.level=OFF", "-cp", ":".join(map(str, classpath)),
        MAIN, file_uri(folder), str(samples),
    ]  # fmt: skip
    try:
        done = outcome(command, READ_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise SavepointError(
            f"{savepoint} takes more than {READ_TIMEOUT_S:.0f} s to read"
        ) from None
    if done.returncode != 0:
        raise SavepointError(f"{savepoint} cannot be read: {_cause(done.stderr)}")
    return json.loads(done.stdout)


def _folder(savepoint: str) -> Path:
    folder = local_folder(savepoint)
    if folder is None:
        raise SavepointError(
            f"{savepoint} is not on a local disk: copy the folder first, "
            f"e.g. `aws s3 cp --recursive {savepoint} ./savepoint`"
        )
    folder = folder.resolve()
    if not (folder / "_metadata").exists():
        raise SavepointError(
            f"{savepoint} is no savepoint, it has no _metadata: "
            "`tillstream job list` shows what a job has left"
        )
    return folder


def _cause(said: str) -> str:
    lines = [line for line in said.splitlines() if "Exception" in line or "Error" in line]
    cause = (
        lines[-1].split("Exception: ", 1)[-1].split("Caused by: ")[-1]
        if lines
        else "no reason given"
    )
    if "own format" in cause:
        return f"{cause}. Take one with `tillstream job stop NAME --savepoint`"
    return cause


def values(savepoint: str, uid: str, name: str, most: int = 1_000_000) -> Iterator[bytes]:
    """The stored bytes of up to ``most`` keys of one state, without the engine's wrapping."""
    for operator in read(savepoint, most)["operators"]:
        for found in operator["states"]:
            if (operator["id"], found["name"]) == (operator_id(uid), name):
                start = 4 + (8 if found["expires"] else 0)
                for _, value in found["samples"]:
                    stored = base64.b64decode(value)[start:]
                    # One call a record keeps PyFlink's pickle of our bytes; no codec starts with its mark.
                    yield pickle.loads(stored) if stored[:1] == b"\x80" else stored
