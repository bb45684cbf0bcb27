"""A savepoint's manifest: what it is, beside it on its storage, so that it can be chosen years later."""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import msgspec

from tillstream.clients.programs import outcome
from tillstream.conf import ROOT
from tillstream.state_schemas.keyed.states import STATES

FILE = "manifest.json"
FORMAT_OF_CONSUMER = (
    1  # positions in Kinesis are of Flink's consumer, whose state our source does not read
)
FORMAT = 2
Positions = dict[str, dict[str, str]]


class Verified(msgspec.Struct, omit_defaults=True):
    """Outcome of a restore in a scratch cluster. ``problem`` is empty when it went well."""

    at_ms: int
    code_version: str
    problem: str = ""
    restore_s: float = 0.0
    checkpoint_s: float = 0.0
    state_bytes: int = 0


class Manifest(msgspec.Struct, omit_defaults=True):
    """taken_at_ms: when the barrier left the sources, which is what the state is as of (ms UTC).

    positions: stream -> partition -> the next offset to read (Kafka), or shard -> the last sequence
    number read (Kinesis). read_to_ms: stream -> partition or shard -> whatever arrived before that (ms
    UTC, by the stream's clock) is in the state; that is when the last record taken arrived, or when a
    shard was found to hold no other. Absent where that is not known, as of earlier releases.
    history_ms: by S3's clock, just after the savepoint was complete: no file of what is in it is
    finished later, but those its state names; 0 where not noted. until_ms: set when the job was told to
    leave out whatever arrived later, so the positions lie behind what the state holds, and must not be
    used. superseded_by: the replay that went back to before this savepoint and on; the history is its,
    no longer this one's. format: FORMAT, or FORMAT_OF_CONSUMER of an earlier release.
    """

    job: str
    job_id: str
    location: str
    taken_at_ms: int
    completed_at_ms: int
    size_bytes: int
    code_version: str
    flink_version: str
    parallelism: int
    state_schemas: dict[str, int]
    positions: Positions
    read_to_ms: dict[str, dict[str, int]] = {}
    history_ms: int = 0
    until_ms: int | None = None
    superseded_by: str = ""
    verified: Verified | None = None
    format: int = FORMAT_OF_CONSUMER

    @property
    def as_of_ms(self) -> int:
        """The moment of arrival up to which the state holds everything."""
        return self.taken_at_ms if self.until_ms is None else self.until_ms


def encode(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(raw: bytes) -> Manifest:
    """Raises ValueError when ``raw`` is no manifest this release can read."""
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.MsgspecError as error:
        raise ValueError(f"no manifest: {error}") from None


def code_version() -> str:
    """The package's version, and in a checkout the commit."""
    try:
        ours = version("tillstream")
    except PackageNotFoundError:
        ours = "unknown"
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    with suppress(OSError, subprocess.TimeoutExpired):  # no git, or one that hangs
        described = outcome(command, 30)
        if described.returncode == 0:
            return f"{ours}+{described.stdout.strip()}"
    return ours


def schema_versions(job: str) -> dict[str, int]:
    """Version that this release writes of each of the job's keyed states, by the codec's name."""
    codecs = [state.codec for state in STATES if state.job == job and state.codec is not None]
    return {codec.name: codec.current for codec in codecs}


# -- source positions, as they stand in the savepoint --------------------------------------------------

# A Kafka split in the source's state: topic (length, UTF-8), partition, next offset, stopping offset,
# which is Long.MIN_VALUE for none. Layout: KafkaPartitionSplitSerializer version 0.
_NO_END = struct.pack(">q", -(2**63))
_TOPIC = re.compile(rb"[A-Za-z0-9._-]{1,249}")
# A Kinesis shard in the source's state, see Shard.java.
_OURS = re.compile(
    rb'\{"kinesis":"([A-Za-z0-9._-]+)","shard":"(shardId-\d{12})","after":"(\d{1,128})"'
)
# And in that of Flink's consumer, of 0.1.0: its metadata's texts, the stream's name last, then the last
# sequence number read, as Kryo writes a number's digits: the last one with its eighth bit set.
_SHARD = re.compile(rb"(shardId-\d{12})")
_SEQUENCE = re.compile(rb".{1,14}?\x01([0-9]{1,127})([\xb0-\xb9])", re.DOTALL)
# A finished file that the sink's state names, for it may still have to be made visible.
_FILE = re.compile(rb"s3a?://([a-z0-9.-]{3,63})/([!-~]{1,900}?\.parquet)")


def kafka_positions(state: bytes) -> Positions:
    """Topic and partition -> the next offset to read, for each Kafka split found in ``state``."""
    out: Positions = {}
    at = state.find(_NO_END)
    while at >= 0:
        if at >= 15:
            partition, offset = struct.unpack(">iq", state[at - 12 : at])
            topic = _text_before(state, at - 12)
            if topic and 0 <= partition < 100_000 and offset >= -3:
                out.setdefault(f"kafka:{topic}", {})[str(partition)] = str(offset)
        at = state.find(_NO_END, at + 1)
    return out


def _text_before(state: bytes, end: int) -> str:
    """The text that ends there, if its length stands before it."""
    for length in range(1, min(249, end - 2) + 1):
        start = end - length
        if int.from_bytes(state[start - 2 : start], "big") == length:
            text = state[start:end]
            return text.decode() if _TOPIC.fullmatch(text) else ""
    return ""


def kinesis_positions(state: bytes, stream: str) -> Positions:
    """Shard -> the last sequence number read, of ``stream``, for each shard found in ``state`` that is not
    read to its end. A shard is in two parts of a state while it is handed over: further on counts."""
    shards: dict[str, str] = {}
    for found in _OURS.finditer(state):
        of, shard, after = (text.decode() for text in found.groups())
        if of == stream:
            shards[shard] = max(after, shards.get(shard, "0"), key=int)
    return {f"kinesis:{stream}": shards} if shards else {}


def consumer_positions(state: bytes, stream: str) -> Positions:
    """The same of Flink's consumer."""
    shards: dict[str, str] = {}
    name = stream.encode()
    found = list(_SHARD.finditer(state))
    for number, match in enumerate(found):
        end = found[number + 1].start() if number + 1 < len(found) else match.end() + 600
        block = state[match.end() : end]
        at = block.find(name)
        if at < 0:
            continue
        sequence = _SEQUENCE.match(block, at + len(name))
        if sequence:
            last = bytes([sequence[2][0] & 0x7F])
            shards[match[1].decode()] = (sequence[1] + last).decode()
    return {f"kinesis:{stream}": shards} if shards else {}


def merged(parts: Iterable[Positions]) -> Positions:
    """Positions of several files of one savepoint."""
    out: Positions = {}
    for part in parts:
        for stream, places in part.items():
            out.setdefault(stream, {}).update(places)
    return out


def files_named(state: bytes) -> set[tuple[str, str]]:
    """(bucket, key) of the history files that ``state`` names: a restore fails without them."""
    return {(found[1].decode(), found[2].decode()) for found in _FILE.finditer(state)}
