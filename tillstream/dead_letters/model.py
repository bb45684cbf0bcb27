"""Dead letters as an operator sees them: merged by id, judged, and ready to be put back or not.

Pure: what Kafka or S3 hold comes in as Sightings and Markers (dlq_read), what leaves as a Sendable
is sent by dlq_send. Times are ms since the epoch, UTC.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from tillstream.domain import transaction
from tillstream.domain.receipt import parse as contract_v2
from tillstream.domain.transaction import InvalidTransaction
from tillstream.errors import Problem


class DlqError(Problem):
    """Cannot go on; the message is one line and names the fix."""


@dataclass(frozen=True)
class Failure:
    """Why one job refused the record. ``exception`` and ``task_id`` are known on Kafka only."""

    job: str
    stage: str
    reason: str
    message: str
    schema_version: int
    failed_at_ms: int
    task_id: str | None = None
    exception: str | None = None


@dataclass(frozen=True)
class Sighting:
    """One job's dead letter as stored. ``raw`` is None when the reader was told not to keep it."""

    dead_letter_id: str
    raw: bytes | None
    size: int
    failure: Failure


@dataclass(frozen=True)
class Marker:
    """The dead letter was put back at ``at_ms`` by ``by``; ``to`` is the origin it has now."""

    dead_letter_id: str
    at_ms: int
    by: str
    to: str | None


@dataclass
class DeadRecord:
    """One record of a stream, with the failure of every job that refused it. deaths: how often it was
    refused, put back and refused again, counting this."""

    dead_letter_id: str
    raw: bytes | None = None
    size: int = 0
    failures: dict[str, Failure] = field(default_factory=dict)
    redriven: list[Marker] = field(default_factory=list)
    deaths: int = 1

    @property
    def newest(self) -> Failure:
        return max(self.failures.values(), key=lambda failure: failure.failed_at_ms)

    @property
    def reasons(self) -> list[str]:
        return sorted({failure.reason for failure in self.failures.values()})

    @property
    def jobs(self) -> list[str]:
        return sorted(self.failures)


def merge(seen: Iterable[Sighting | Marker]) -> dict[str, DeadRecord]:
    """One DeadRecord per id. A job's replay may repeat a failure: its newest one counts.

    A marker whose dead letter is not there (expired, or filtered out) is dropped.
    """
    records: dict[str, DeadRecord] = {}
    markers: dict[str, set[Marker]] = {}
    for one in seen:
        if isinstance(one, Marker):
            markers.setdefault(one.dead_letter_id, set()).add(one)
            continue
        record = records.setdefault(one.dead_letter_id, DeadRecord(one.dead_letter_id))
        if record.raw is None:
            record.raw, record.size = one.raw, one.size
        before = record.failures.get(one.failure.job)
        if before is None or before.failed_at_ms <= one.failure.failed_at_ms:
            record.failures[one.failure.job] = one.failure
    came_from = {mark.to: mark.dead_letter_id for found in markers.values() for mark in found}
    for record in records.values():
        found = markers.get(record.dead_letter_id, set())
        record.redriven = sorted(found, key=lambda marker: marker.at_ms)
        died = {record.dead_letter_id}
        last = came_from.get(origin_of(record.dead_letter_id))
        while last is not None and last not in died:
            died.add(last)
            last = came_from.get(origin_of(last))
        record.deaths = len(died)
    return records


def origin_of(dead_letter_id: str) -> str:
    return dead_letter_id.partition("#")[0]


def stream_of(dead_letter_id: str) -> str:
    """``kafka:<topic>`` or ``kinesis:<stream>`` that it came through; "" of what came through none."""
    stream = origin_of(dead_letter_id).rsplit("/", 2)[0]
    return stream if stream.startswith(("kafka:", "kinesis:")) else ""


def choose(
    records: Iterable[DeadRecord],
    *,
    reasons: Iterable[str] = (),
    jobs: Iterable[str] = (),
    since_ms: int | None = None,
    with_redriven: bool = False,
) -> list[DeadRecord]:
    """Those that match every given filter, oldest failure first (so a replay keeps their order).

    A record that several jobs refused matches when one failure matches all of the filters.
    """
    wanted_reasons, wanted_jobs = set(reasons), set(jobs)

    def matches(failure: Failure) -> bool:
        return (
            (not wanted_reasons or failure.reason in wanted_reasons)
            and (not wanted_jobs or failure.job in wanted_jobs)
            and (since_ms is None or failure.failed_at_ms >= since_ms)
        )

    chosen = [
        record
        for record in records
        if (with_redriven or not record.redriven) and any(map(matches, record.failures.values()))
    ]
    return sorted(chosen, key=lambda record: (record.newest.failed_at_ms, record.dead_letter_id))


def totals(records: Iterable[DeadRecord]) -> dict[str, int]:
    """Dead letters per reason, most first. One refused for two reasons counts under both."""
    return dict(Counter(reason for record in records for reason in record.reasons).most_common())


# What a rule (not the contract) refused depends on when, so the same bytes would be refused again.
TIME_REASONS = {
    "beyond_horizon": "it is older than what loyalty remembers of its customer, so it cannot be "
    "told from a duplicate",
    "too_many_at_once": "more of one moment than loyalty remembers of its customer",
    "clock_ahead": "its time is ahead of the broker's clock: the clock of whoever sent it was wrong",
}
ID_REASONS = {
    "id_conflict": "another record has its id: the first is kept",
    "outdated": "a later revision of this promotion was passed on before it",
    "voided_already": "another void of the same receipt counted before it: a receipt is voided once",
    "not_a_sale": "it voids a void, which takes nothing back",
}
# What tells records of a topic apart.
_IDS = ("transaction_id", "document_id", "promotion_id", "revision")
# Digits of a card number, as they are written into a dead letter.
_masked = re.compile(rb"\*{6,}|\*{4}[^*\n]{1,18}\*{4}").search


class Named(NamedTuple):
    """What a till's record is keyed by, its id, and the store as the till calls it."""

    transaction_id: str
    key: str
    store: str


class Contract(NamedTuple):
    """What a topic's records have to be. read: raises InvalidTransaction, None where nothing goes back
    this way. key: the field that they are keyed by; of what tills send "", ``read`` says `Named`."""

    read: Callable[[bytes], Any] | None
    key: str


def of_our_contracts(raw: bytes) -> Named:
    """A till's record of contract v1 or v2. Raises InvalidTransaction."""
    if contract_v2.is_v2(raw):
        sent = contract_v2.parse(raw)
        customer = sent.loyalty.customer if sent.loyalty else None
        return Named(sent.transaction_id, customer or sent.transaction_id, sent.store)
    old = transaction.parse(raw)
    return Named(old.transaction_id, old.customer_id or old.transaction_id, str(old.store))


TILLS = ""  # in place of a topic's name: what tills send, wherever they send it to
TRANSACTIONS_ALONE: Mapping[str, Contract] = MappingProxyType(
    {TILLS: Contract(of_our_contracts, "")}
)


@dataclass(frozen=True)
class Sendable:
    """A record fit to go back: ``payload`` under ``key`` (customer id, or else transaction id).

    topic: None for the till transactions; else ``transaction_id`` is the record's key, too.
    """

    dead_letter_id: str
    transaction_id: str
    key: str
    payload: bytes
    repaired: bool
    topic: str | None = None


@dataclass(frozen=True)
class Refusal:
    """A record that stays dead, and why."""

    dead_letter_id: str
    reason: str
    message: str


def judge(
    record: DeadRecord,
    repaired: Mapping[str, Any] | None = None,
    again: bool = False,
    contracts: Mapping[str, Contract] = TRANSACTIONS_ALONE,
) -> Sendable | Refusal:
    """Whether ``record`` (or its ``repaired`` document) may go back to where it came from.

    contracts: by name of the topic; what came from none of them is judged as what tills send.
    A repaired document equal to the original is no repair: the original bytes are judged and sent.
    """

    def refuse(reason: str, message: str) -> Refusal:
        return Refusal(record.dead_letter_id, reason, message)

    if record.redriven and not again:
        last = record.redriven[-1]
        return refuse("already_redriven", f"put back by {last.by}; --again sends it again")
    raw = record.raw
    if raw is None:
        return refuse("not_readable", "too large for Kafka: --source s3 has its bytes")
    original = document_of(raw)
    is_repair = repaired is not None and repaired != original
    document: Any = repaired if is_repair else original
    payload = orjson.dumps(repaired) if is_repair else raw
    topic = _topic_of(record.dead_letter_id)
    contract = contracts.get(topic) or contracts[TILLS]
    if contract.read is None:
        return refuse("not_redriven", f"records of {topic} are sent again by whoever sent them")
    try:
        found = contract.read(payload)
    except InvalidTransaction as error:
        hint = ""
        if _masked(payload.replace(b"\0", b"")):  # as UTF-16 has
            hint = "; personal data was masked and is not kept: repair it, or have the till send it"
        return refuse(error.reason, error.message + hint)
    of_time = [reason for reason in record.reasons if reason in TIME_REASONS]
    if of_time and (times := _times(document)) == _times(original):
        why = f"{TIME_REASONS[of_time[0]]}; only with {' or '.join(times)} repaired can it go back"
        return refuse(of_time[0], why)
    for reason in set(record.reasons) & set(ID_REASONS):
        if not _another(ids := _ids(document), _ids(original)):
            names = "a later revision" if "revision" in ids else f"{' or '.join(ids)} of its own"
            return refuse(reason, f"{ID_REASONS[reason]}; only with {names} can it go back")
    if contract.key:
        if contract.key not in document:
            return refuse("missing_field", f"$.{contract.key} is required: it is the topic's key")
        key = str(document[contract.key])
        return Sendable(record.dead_letter_id, key, key, payload, is_repair, topic)
    return Sendable(record.dead_letter_id, found.transaction_id, found.key, payload, is_repair)


def _ids(document: Any) -> dict[str, Any]:
    """Its fields that say which record it is, with their values; none if it is no object."""
    fields = document if isinstance(document, dict) else {}
    return {name: fields[name] for name in _IDS if name in fields}


def _another(ids: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether it is another record; of the same promotion a later revision is."""
    if ids.get("promotion_id") == before.get("promotion_id") and "revision" in before:
        revision = ids.get("revision")
        return isinstance(revision, int) and revision > before["revision"]
    return ids != before


def _times(document: Any) -> dict[str, Any]:
    """Its fields that are times, with their values; none if it is no object."""
    fields = document.items() if isinstance(document, dict) else ()
    return {name: value for name, value in fields if name.endswith(("_ms", "_at"))}


def _topic_of(dead_letter_id: str) -> str:
    kind, _, name = stream_of(dead_letter_id).partition(":")
    return name if kind == "kafka" else ""


def judge_all(
    records: Iterable[DeadRecord],
    repaired: Mapping[str, Mapping[str, Any]],
    again: bool = False,
    contracts: Mapping[str, Contract] = TRANSACTIONS_ALONE,
) -> tuple[list[Sendable], list[Refusal]]:
    """Each record's verdict. Of two with one transaction_id and unequal content, the later stays
    dead: the jobs would drop whichever comes second silently."""
    verdicts: list[Sendable | Refusal] = []
    content: dict[str, Any] = {}
    for record in records:
        verdict = judge(record, repaired.get(record.dead_letter_id), again, contracts)
        if isinstance(verdict, Sendable) and verdict.topic is None:
            document = document_of(verdict.payload) or verdict.payload  # other makers send XML, too
            if content.setdefault(verdict.transaction_id, document) != document:
                verdict = Refusal(
                    record.dead_letter_id,
                    "same_transaction_id",
                    f"another dead letter with other content is {verdict.transaction_id} too: "
                    "redrive the right one by its id",
                )
        verdicts.append(verdict)
    sendable = [verdict for verdict in verdicts if isinstance(verdict, Sendable)]
    return sendable, [verdict for verdict in verdicts if isinstance(verdict, Refusal)]


def document_of(raw: bytes) -> Any:
    """The JSON document in ``raw``, or None when it is none (a literal null is None as well)."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def read_repaired(lines: Iterable[bytes]) -> dict[str, dict[str, Any]]:
    """Dead letter id -> repaired record, of JSON lines ``{"dead_letter_id": .., "record": {..}}``.

    Other fields are ignored, so what ``list --json --raw`` printed can be edited and given back.
    """
    repaired: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        document = document_of(line)
        if not isinstance(document, dict) or not isinstance(document.get("dead_letter_id"), str):
            raise DlqError(
                f'--repaired line {number}: want {{"dead_letter_id": "...", "record": {{...}}}} on '
                "one line (jq -c prints it so)"
            )
        dead_letter_id = document["dead_letter_id"]
        if not isinstance(document.get("record"), dict):
            raise DlqError(f"--repaired line {number}: no object as record for {dead_letter_id}")
        if dead_letter_id in repaired:
            raise DlqError(f"--repaired line {number}: {dead_letter_id} is there twice")
        repaired[dead_letter_id] = document["record"]
    return repaired


def export(record: DeadRecord, with_raw: bool) -> dict[str, Any]:
    """The record as JSON. ``record`` is the raw object where it is one, else ``raw_b64`` has all."""
    out: dict[str, Any] = {
        "dead_letter_id": record.dead_letter_id,
        "reasons": record.reasons,
        "jobs": record.jobs,
        "size": record.size,
        "deaths": record.deaths,
        "failures": [vars(failure) for failure in record.failures.values()],
        "redriven": [
            {"at_ms": marker.at_ms, "by": marker.by, "to": marker.to} for marker in record.redriven
        ],
    }
    if with_raw and record.raw is not None:
        document = document_of(record.raw)
        out["record"] = document if isinstance(document, dict) else None
        out["raw_b64"] = base64.b64encode(record.raw).decode("ascii")
    return out
