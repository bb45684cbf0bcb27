"""Why a savepoint does not restore, and what to do about it.

Among the reasons: its sources stand where the stream holds nothing any more. They stop there by
themselves; here it is found out before a job is submitted, and how much it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tillstream.catalog.entry import Job
from tillstream.cli.times import now_ms, shown
from tillstream.conf import Conf
from tillstream.conf.schema import Source
from tillstream.errors import Problem

HOUR_MS = 3_600_000
SLACK_MS = 60_000  # of clocks between ours and a stream's
BEFORE_MS = 1_000  # times are whole milliseconds, and a stream's clocks are several

# What Flink says -> what it means here, and the way out.
_MEANING = (
    (
        ("Cannot map checkpoint/savepoint state for operator",),
        "the savepoint has state of an operator that this job has not: its uid was changed, or the "
        "operator is gone. Put the uid back (tests/jobs/uids.json has those of the last release). "
        "Only if that state is to be lost: --allow-dropped-state",
    ),
    (
        ("OffsetOutOfRangeException", "are out of range for partitions", "LogTruncationException"),
        "the topic no longer holds what the job is to read next, and it does not skip: `tillstream job "
        "restore` says how much is gone, and what to do",
    ),
    (
        ("no longer holds what follows", "it was trimmed, or created again"),
        "the tills' stream no longer holds what the job is to read next, and it does not skip: the line "
        "says from when to when, and docs/runbooks/savepoints.md what to do",
    ),
    (
        ("Max parallelism mismatch", "maximum parallelism"),
        "job.max_parallelism is not the one the savepoint was taken with; it can never change. Set it "
        "back in conf/",
    ),
    (
        ("key serializer must be compatible", "new key serializer"),
        "the key's type has changed: state is filed by its bytes. Key by the old type again; a new "
        "key needs a new job, filled by a replay",
    ),
    (
        (
            "state serializer must not be incompatible",
            "new state serializer",
            "StateMigrationException",
        ),
        "a state's type has changed under its old name. Put the type of its descriptor back (bytes of "
        "our codec never need another); what they hold changes by a new version, see docs/state.md",
    ),
)


def advice(said: str) -> str | None:
    """What to do about a failed restore, by what the engine ``said``; None where it says it itself."""
    for marks, meaning in _MEANING:
        if any(mark in said for mark in marks):
            return meaning
    return None


# -- what a stream no longer holds --------------------------------------------------------------------


class Standing(NamedTuple):
    """Where a savepoint or checkpoint has its sources: ``positions`` and ``read_to_ms`` as in a manifest.
    written_ms: when it was complete (UTC). of_consumer: what it has of Kinesis is the state of Flink's
    consumer, which was its source before ours."""

    positions: Mapping[str, Mapping[str, str]]
    written_ms: int
    read_to_ms: Mapping[str, Mapping[str, int]] = {}
    of_consumer: bool = False


NOWHERE = Standing({}, 0)
BEFORE_THE_DOOR = (
    "this savepoint is of a release in which each job read the tills' stream by itself: start {door} from "
    "where it ends (`tillstream savepoint read-to`), then `tillstream job restore {job} "
    "--allow-dropped-state` (docs/runbooks/cut-over.md)"
)


class Loss(NamedTuple):
    """A part of a stream that does not hold what follows a position. place: ``topic/partition`` or
    ``stream/shard``. at, to: the position, and where a job goes on if it must. said: for a person."""

    place: str
    at: int
    to: int
    said: str


def is_before_the_door(job: Job | None, of_tills: Source, found: Standing) -> bool:
    """Whether a job that reads the front door's stream has positions in the tills' own. ``of_tills``: where
    that is."""
    if job is None or job.raw or not job.transactions:
        return False
    streams = {f"kafka:{of_tills.kafka.topic}", f"kinesis:{of_tills.kinesis.stream}"}
    return bool(streams & found.positions.keys())


ELSEWHERE = (
    "the state that {job} goes on from has its place in {stands}, and these settings read {reads}: it would "
    "leave unread what is waiting there. Give the --conf that it was submitted with (source.kind=...); "
    "--allow-dropped-state if it is to change over, once it has read all of {stands}"
)


def elsewhere(job: Job | None, conf: Conf, found: Standing) -> str:
    """Why the front door cannot go on from a state whose place is in a stream of the other kind than it is
    to read; "" if it can."""
    reads = conf.source.stream
    if job is None or not job.raw or reads in found.positions:
        return ""
    other = "kinesis:" if conf.source.kind == "kafka" else "kafka:"
    if other == "kinesis:" and found.of_consumer:  # which no source reads any more
        return ""
    stands = [name for name in sorted(found.positions) if name.startswith(other)]
    return ELSEWHERE.format(job=job.name, stands=stands[0], reads=reads) if stands else ""


OF_CONSUMER = (
    "this savepoint's place in Kinesis is of Flink's consumer, whose state the source of this release does "
    "not read: `tillstream job restore {job} --allow-dropped-state` goes on at the same place "
    "(docs/runbooks/cut-over.md)"
)


def places_of_consumer(job: Job | None, conf: Conf, found: Standing) -> dict[str, str]:
    """Shard to the last sequence number that Flink's consumer read, where the job goes on from its state."""
    if job is None or not job.raw or conf.source.kind != "kinesis" or not found.of_consumer:
        return {}
    return dict(found.positions.get(f"kinesis:{conf.source.kinesis.stream}", {}))


NOT_LAST = (
    "{job} has added up {since}, and started {there} it adds that up again, which nothing undoes: {last}; "
    "--counted-again if that is meant"
)


def not_last(job: str, location: str | None, last: str | None) -> str:
    """Why a job that sums does not start from ``location``, None: from nothing. ``last``: its newer state, if
    it has left one."""
    since, there = (f"since {location}", "from there") if location else ("before", "anew")
    left = "it was stopped without leaving a state"
    if last:
        left = f"`tillstream job restore {job}` goes on from its last state, {last}"
    return NOT_LAST.format(job=job, since=since, there=there, last=left)


WRITES_AGAIN = (
    "warning: this state of intake is older than what sales and archive remember of transactions: what it "
    "writes again counts twice there (docs/runbooks/replay.md)"
)


def writes_again(conf: Conf, of_ms: int) -> bool:
    """Whether intake, from its state of then, writes again what other jobs have forgotten. 0: not known."""
    hours = min(conf.sales.dedupe_hours or 10**6, conf.archive.dedupe_hours or 10**6)
    return bool(of_ms) and now_ms() - of_ms > hours * HOUR_MS


def losses(conf: Conf, job: Job | None, found: Standing) -> list[Loss]:
    """What the job's streams no longer hold of what follows; of a job that is not in the catalogue all
    topics it has positions of are looked at. Raises Unreachable."""
    from tillstream.clients.kafka import watermarks

    lost: list[Loss] = []
    source, kafka = conf.source.kafka, conf.source.kind == "kafka"
    tills = job is None or job.transactions
    reads = None if job is None else {conf.topic(topic) for topic in job.reads}
    for stream, begun in found.positions.items():
        kind, _, name = stream.partition(":")
        if (kind, name) == ("kafka", source.topic):
            if tills and kafka:
                lost += kafka_losses(name, begun, watermarks(conf, name, source.bootstrap))
        elif kind == "kafka" and (reads is None or name in reads):
            lost += kafka_losses(name, begun, watermarks(conf, name, conf.kafka.bootstrap))
        elif tills and not kafka and name == conf.source.kinesis.stream:
            known = found.read_to_ms.get(stream, {})
            lost += kinesis_losses(conf, begun, known, found.written_ms)
    return lost


def kafka_losses(
    topic: str, begun: Mapping[str, str], marks: Mapping[int, tuple[int, int]]
) -> list[Loss]:
    """``begun``: partition -> next offset to read. ``marks``: partition -> (oldest offset kept, next
    offset to come); a partition that had not begun is new, and begins at 0."""
    lost = []
    for number in sorted({*marks, *map(int, begun)}):
        at = int(begun.get(str(number), 0))
        if number not in marks:
            said = f"{topic} has no partition {number} any more: it was deleted and created again"
            lost.append(Loss(f"{topic}/{number}", at, 0, said))
            continue
        low, end = marks[number]
        to, said = low, ""
        if at == -1 and end:  # Flink's word for "the end", of a job that had read nothing
            to, said = end, f"the state of partition {number} of {topic} says no place to go on at"
        elif at > end:
            said = (
                f"partition {number} of {topic} ends at {end:,}, before {at:,}, where the state goes "
                "on: the topic was deleted and created again"
            )
        elif max(at, 0) < low:
            said = (
                f"partition {number} of {topic} begins at {low:,}, the state goes on at "
                f"{max(at, 0):,}: {low - max(at, 0):,} records in between are gone"
            )
        if said:
            lost.append(Loss(f"{topic}/{number}", at, to, said))
    return lost


def kinesis_losses(
    conf: Conf, begun: Mapping[str, str], read_to: Mapping[str, int], written_ms: int
) -> list[Loss]:
    """``begun``: shard -> last sequence number read. Nothing is lost where that very record is kept
    still, or where all that arrived before ``read_to`` was read and what arrived since is kept."""
    from tillstream.clients import kinesis

    stream = conf.source.kinesis.stream
    client = kinesis.open_stream(conf)
    oldest_ms = kinesis.oldest_ms(client, stream, now_ms())
    lost = []
    for shard, text in sorted(begun.items()):
        at = int(text)
        kept = kinesis.first_kept(client, stream, shard, at)
        if read_to.get(shard, 0) > oldest_ms + SLACK_MS:
            continue
        # A stream that was created again counts its records anew. The record's own time may be ahead, by the
        # service's clock, of the state's that was written after it.
        older = kept is not None and min(kept.arrived_ms, oldest_ms) <= written_ms + SLACK_MS
        if kept and kept.sequence == at and older:
            continue
        since_ms = read_to.get(shard)
        missing = (
            f", {(oldest_ms - since_ms) / HOUR_MS:,.1f} h are gone"
            if since_ms and oldest_ms > since_ms
            else ""
        )
        said = (
            f"shard {shard} of {stream} no longer holds the record that was read last"
            f"{f' (it arrived {shown(since_ms)})' if since_ms else ''}: the stream was trimmed, or "
            f"created again, and holds what arrived since {shown(oldest_ms)}{missing}"
        )
        lost.append(Loss(f"{stream}/{shard}", at, at, said))
    return lost


def accepted_by_time(conf: Conf, job: Job | None) -> dict[str, list[int]]:
    """What --accept-loss means for shards of which nothing is known here, e.g. as nothing was read of them:
    whatever they have lost until now."""
    if conf.source.kind != "kinesis" or job is None or not job.raw:
        return {}
    return {f"{conf.source.kinesis.stream}/*": [0, now_ms()]}


def read_to_ms(
    conf: Conf, positions: Mapping[str, Mapping[str, str]], asked_ms: int
) -> dict[str, dict[str, int]]:
    """``Manifest.read_to_ms`` of a savepoint that was just taken; ``asked_ms``: by our clock, no later
    than now. Raises Unreachable."""
    from tillstream.clients import kinesis
    from tillstream.clients.kafka import last_before

    out: dict[str, dict[str, int]] = {}
    for stream, begun in positions.items():
        kind, _, name = stream.partition(":")
        # The state says what was read: a submission's --conf may have said another kind than ours.
        if kind == "kafka" and name == conf.source.kafka.topic:
            places = {int(number): int(at) for number, at in begun.items()}
            times = last_before(conf, name, conf.source.kafka.bootstrap, places)
            out[stream] = {str(number): at for number, at in times.items()}
        elif kind == "kinesis":
            client = kinesis.open_stream(conf)
            for shard, text in begun.items():
                last = kinesis.first_kept(client, name, shard, int(text))
                if last is None or last.sequence != int(text):
                    continue
                more = kinesis.first_kept(client, name, shard, int(text), after=True)
                at_ms = last.arrived_ms if more else max(last.arrived_ms, asked_ms - SLACK_MS)
                out.setdefault(stream, {})[shard] = at_ms
    return out


# -- where the front door begins for a job of before it ------------------------------------------------


def unread_since_ms(conf: Conf, job: str, found: Standing) -> int:
    """When the first record arrived (ms UTC) that the job has not read, less a second; now where it has read
    all. ``conf.source`` is the tills' stream. Raises Problem where the stream no longer holds it, or the job
    has no position there."""
    if conf.source.kind == "kafka":
        stream, first = f"kafka:{conf.source.kafka.topic}", _of_kafka
    else:
        stream, first = f"kinesis:{conf.source.kinesis.stream}", _of_kinesis
    begun = dict(found.positions.get(stream, {}))
    if not begun:
        raise Problem(
            f"{job} has no position in {stream}: it did not read it, or read nothing of it yet"
        )
    return min([now_ms(), *(first(conf, job, begun, found))]) - BEFORE_MS


def _of_kafka(conf: Conf, job: str, begun: dict[str, str], found: Standing) -> list[int]:
    from tillstream.clients.kafka import first_from, watermarks

    source = conf.source.kafka
    marks = watermarks(conf, source.topic, source.bootstrap)
    for lost in kafka_losses(source.topic, begun, marks):
        raise _gone(job, lost.said)
    places = {number: max(int(begun.get(str(number), 0)), 0) for number in marks}
    return list(first_from(conf, source.topic, source.bootstrap, places).values())


def _of_kinesis(conf: Conf, job: str, begun: dict[str, str], found: Standing) -> list[int]:
    from tillstream.clients import kinesis

    stream = conf.source.kinesis.stream
    for lost in kinesis_losses(
        conf, begun, found.read_to_ms.get(f"kinesis:{stream}", {}), found.written_ms
    ):
        raise _gone(job, lost.said)
    client = kinesis.open_stream(conf)
    first = []
    for shard in {*begun, *kinesis.shards(client, stream)}:
        at = int(begun[shard]) if shard in begun else None
        if kept := kinesis.first_kept(client, stream, shard, at, after=at is not None):
            first.append(kept.arrived_ms)
    return first


def _gone(job: str, said: str) -> Problem:
    return Problem(
        f"{said}: what {job} has not read is lost to it. Start intake at the stream's beginning, "
        "source.start_ms: null"
    )


def what_to_do(job: str, archived: bool) -> str:
    """After losses. ``archived``: whether the archive has what the job reads."""
    if not archived:
        return (
            f"what to do: `tillstream savepoint list {job}` shows newer ones; what the tills' stream no "
            "longer holds is kept nowhere else: --accept-loss goes on without it, and notes what is lost"
        )
    return (
        f"what to do: `tillstream savepoint list {job}`, then `tillstream replay --job {job} --from "
        "SAVEPOINT` takes what is gone from the archive, as far as it has it; --accept-loss goes on "
        "without it, and notes what is lost"
    )
