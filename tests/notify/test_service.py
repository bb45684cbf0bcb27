"""What is no notice is a dead letter, whatever it is, and stops neither the notifier nor its neighbours."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sent_notices import TableInMemory
from tillstream.conf import load
from tillstream.domain.dead_letter import id_of
from tillstream.domain.notice import InvalidNotice, Notice, notice, parse
from tillstream.errors import Unreachable
from tillstream.notify.log import SentLog
from tillstream.notify.notifier import Notifier
from tillstream.notify.service import Service

NOW = 1_764_000_000_000
BROKER_TAKES = 1_000_000
GOOD = msgspec.to_builtins(notice("alert", "store:45", "shelf_sold_out", "tx-1", NOW, {"level": 0}))


class Kafka:
    """The consumer that commits and the producer of dead letters."""

    def __init__(self) -> None:
        self.commits = 0
        self.letters: list[tuple[str, bytes, dict[str, str]]] = []
        self.problem: Any = None

    def commit(self, asynchronous: bool) -> None:
        self.commits += 1

    def produce(
        self, topic: str, value: bytes, key: bytes, on_delivery: Any, headers: list[tuple[str, str]]
    ) -> None:
        size = len(value) + len(key) + sum(len(n) + len(v) for n, v in headers)
        assert size < BROKER_TAKES
        self.letters.append((key.decode(), value, dict(headers)))
        if self.problem:
            on_delivery(self.problem, SimpleNamespace(key=lambda: key, value=lambda: value))

    def poll(self, wait_s: float) -> int:
        return 0

    def flush(self, wait_s: float) -> int:
        return 0


def service(kafka: Kafka) -> tuple[Service, list[str]]:
    sent: list[str] = []

    class Sender:
        def send(self, one: Notice) -> str:
            sent.append(one.notice_id)
            return "receipt"

    class InMemory(Service):
        def _producer(self) -> Any:
            return kafka

        def _reader(self) -> Any:
            return kafka

    conf = load("local")
    notifier = Notifier(conf, SentLog(conf, TableInMemory()), Sender(), now_ms=lambda: NOW)
    return InMemory(conf, notifier, threading.Event()), sent


def message(value: bytes | None, offset: int = 0) -> Any:
    return SimpleNamespace(
        value=lambda: value, topic=lambda: "stock-notices", partition=lambda: 3,
        offset=lambda: offset, timestamp=lambda: (1, NOW), headers=lambda: [("x", None)],
    )  # fmt: skip


UNUSABLE = {
    "tombstone": (None, "not_json"),
    "empty": (b"", "not_json"),
    "nested": (b'{"x":' + b"[" * 100_000, "not_a_notice"),
    "nested where a text should be": (b'{"notice_id":' + b"[" * 100_000, "not_a_notice"),
    "an item over 400 KB": (msgspec.json.encode(GOOD | {"cause": "x" * 450_000}), "too_large"),
    "a mebibyte": (b'{"notice_id":"' + b"x" * 1_048_000 + b'"}', "too_large"),
    "half a character": (b'{"notice_id":"\\ud800"}', "not_json"),
    "a number of 5,000 digits": (
        msgspec.json.encode(GOOD)[:-1] + b',"params":{"a":' + b"9" * 5_000 + b"}}", "not_a_notice",
    ),
    "no object": (b"[]", "not_a_notice"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNUSABLE)
def test_an_unusable_notice_is_a_dead_letter_and_the_next_is_sent(what):
    raw, reason = UNUSABLE[what]
    kafka = Kafka()
    running, sent = service(kafka)
    running._handle([message(raw, 41), message(msgspec.json.encode(GOOD), 42)])
    ((key, value, headers),) = kafka.letters
    assert key == id_of("kafka:stock-notices/3/41", raw or b"")
    assert headers["tillstream.reason"] == reason
    left_out = int(headers.get("tillstream.left.out.bytes", 0))
    assert len(value) + left_out == len(raw or b"")
    assert sent == [GOOD["notice_id"]]
    assert kafka.commits == 1


def test_nothing_is_committed_before_a_dead_letter_is_written():
    kafka = Kafka()
    kafka.problem = SimpleNamespace(str=lambda: "Broker: not enough replicas")
    running, sent = service(kafka)
    with pytest.raises(Unreachable, match="not enough replicas"):
        running._handle([message(b"no notice"), message(msgspec.json.encode(GOOD), 1)])
    assert (kafka.commits, sent) == (0, [])


texts = st.one_of(st.text(max_size=20), st.sampled_from(["store:45", "sms", "", "\x00", "é" * 600]))
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from([*GOOD, "x"]), anything, max_size=3), st.data())
def test_whatever_the_bytes_they_are_a_notice_that_its_log_takes_or_are_refused(changed, data):
    raw = bytearray(msgspec.json.encode(GOOD | changed))
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + 1] = data.draw(st.binary(max_size=2))
    try:
        found = parse(bytes(raw))
    except InvalidNotice:
        return
    again = msgspec.json.encode(found)
    assert parse(again) == found
    assert len(again) + len(found.notice_id.encode()) < 400_000


@pytest.mark.parametrize(
    "said",
    ["jan.jansen@example.com", "jan@localhost", "082 555 0123", "+27 82 555 0123", "+271234"],
)
def test_what_a_notice_was_refused_for_is_not_in_its_dead_letter(said):
    kafka = Kafka()
    one, _ = service(kafka)
    one._handle([message(msgspec.json.encode({**GOOD, "params": {"note": said, "level": 3}}))])
    ((_, value, headers),) = kafka.letters
    assert headers["tillstream.reason"] == "personal_data"
    assert said.encode() not in value
    assert msgspec.json.decode(value)["params"] == {"note": "********", "level": 3}
