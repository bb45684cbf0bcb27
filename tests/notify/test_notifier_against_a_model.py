"""The notifier against a model: whatever crashes, repeats, refuses or gets in between, each notice goes
out at most once by itself, those of a recipient in order, and none is lost.

Notifiers, the service around them and the log are the real ones; Kafka, the table and the sender are in
memory, and between any two of their calls a notifier may die, time may pass, a second notifier may work on
the same notices, a person may decide."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.support.sent_notices import TableInMemory
from tillstream.conf import load
from tillstream.domain.dead_letter import id_of
from tillstream.domain.notice import Notice, notice
from tillstream.notify import log as log_module
from tillstream.notify import notifier as notifier_module
from tillstream.notify import service as service_module
from tillstream.notify.log import NotThere, SentLog
from tillstream.notify.notifier import Notifier, Unavailable
from tillstream.notify.senders import MaybeSent, NotSent, Refused
from tillstream.notify.service import Service

NOW = 1_764_000_000_000
PARTITIONS = 2
RECIPIENTS = [f"store:{n}" for n in range(1, 5)]
CONF = load(
    "local",
    {"notify": {"workers": 1, "attempts": 2, "per_second": dict.fromkeys(("sms", "alert"), 10**6)}},
)
RUBBISH = {"tombstone": None, "no json": b"no notice at all", "nested": b'{"x":' + b"[" * 2_000}


class Crash(BaseException):
    """The process is killed."""


class Here:
    """One after the other, in this thread: what happens in between is the model's to say."""

    def __init__(self, workers: int) -> None: ...

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *error: Any) -> None: ...

    map = staticmethod(map)


class Process:
    """A `notify run`, from its start to its death. plan: number of a call -> what happens there."""

    def __init__(self, world: World, plan: dict[int, str], answers: list[str]) -> None:
        self.world, self.plan, self.answers = world, dict(plan), list(answers)
        self.calls, self.dead = 0, False
        table = TableInMemory(self.before, self.after)
        table.rows = world.rows
        self.log = SentLog(CONF, table)
        self.notifier = Notifier(CONF, self.log, self, now_ms=lambda: world.now_ms)
        self.service = InMemory(CONF, self.notifier, threading.Event())
        self.service._consumer = self
        self.offsets = dict(world.committed)

    # -- between any two calls ---------------------------------------------------------------------

    def before(self, call: str = "") -> None:
        self.calls += 1
        happens = "dies" if self.dead else self.plan.pop(self.calls, "")
        if happens == "dies":
            self.dead = True
            raise Crash
        self.world.happen(happens)

    def after(self, call: str = "") -> None:
        if self.plan.pop(-self.calls, ""):
            self.dead = True
            raise Crash

    # -- the sender --------------------------------------------------------------------------------

    def send(self, one: Notice) -> str:
        self.before("send")
        answer = self.answers.pop(0) if self.answers else "sent"
        if answer == "throttled":
            raise NotSent("slow down")
        if answer == "refused":
            raise Refused("no such topic")
        if answer == "lost on the way":
            raise MaybeSent("read timed out")
        self.world.went(one)
        self.after("send")
        if answer == "answer lost":
            raise MaybeSent("read timed out")
        return "receipt"

    # -- Kafka -------------------------------------------------------------------------------------

    def read(self, most: int) -> list[Any]:
        found = []
        for partition, messages in enumerate(self.world.topic):
            at = self.offsets[partition]
            found += messages[at : at + most]
            self.offsets[partition] = min(at + most, len(messages))
        return found

    def commit(self, asynchronous: bool) -> None:
        self.before("commit")
        for partition, offset in self.offsets.items():
            self.world.committed[partition] = max(offset, self.world.committed[partition])
        self.after("commit")

    def produce(self, topic: str, value: bytes, key: bytes, **more: Any) -> None:
        self.before("produce")
        self.world.letters[key.decode()] += 1

    def poll(self, wait_s: float) -> int:
        return 0

    def flush(self, wait_s: float) -> int:
        return 0


class InMemory(Service):
    def _producer(self) -> Any:
        return self._notifier._sender

    def _reader(self) -> Any:
        return None


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_ms = NOW
        self.rows: dict[str, dict[str, Any]] = {}
        self.topic: list[list[Any]] = [[] for _ in range(PARTITIONS)]
        self.committed = dict.fromkeys(range(PARTITIONS), 0)
        self.written: dict[str, list[str]] = defaultdict(list)  # recipient -> ids in order
        self.rubbish: set[str] = set()
        self.letters: Counter[str] = Counter()
        self.sent: dict[str, list[str]] = defaultdict(list)
        self.resent: Counter[str] = Counter()
        self.out_of_order: set[str] = (
            set()
        )  # a second notifier, or a person, was at this recipient's
        self.busy: list[str] = []

    # -- what happens between two calls ------------------------------------------------------------

    def happen(self, what: str) -> None:
        if what == "time passes":
            self.now_ms += CONF.notify.lease_s * 1000 + 1
        elif what == "another notifier":
            self.out_of_order.update(RECIPIENTS)
            self.work(Process(self, {}, []), 3)
        elif what == "a person resends":
            self.decide("claimed")
        elif what == "a person dismisses":
            self.decide("dismissed")

    def went(self, one: Notice) -> None:
        self.sent[one.recipient].append(one.notice_id)

    def work(self, process: Process, most: int) -> None:
        try:
            if batch := process.read(most):
                process.service._handle(batch)
        except (Crash, Unavailable):
            pass

    def decide(self, decision: str) -> None:
        process = Process(self, {}, [])
        for one in list(process.log.open()):
            try:
                found, token = process.log.decide(one.notice_id, decision, "thandi")
            except NotThere:
                continue
            self.out_of_order.add(found.recipient)
            if decision == "claimed":
                self.resent[found.notice_id] += 1
                process.notifier.send(found, token, comes_again=False)
            return

    # -- rules -------------------------------------------------------------------------------------

    @rule(
        recipient=st.sampled_from(RECIPIENTS), numbers=st.lists(st.integers(0, 6), min_size=1, max_size=4),
        days=st.sampled_from([0, 0, 0, 0, 4, -4]),
    )  # fmt: skip
    def ask(self, recipient: str, numbers: list[int], days: int) -> None:
        """A job writes notices, some of them again."""
        for n in numbers:
            at_ms = NOW - days * 86_400_000
            one = notice("alert", recipient, "shelf_sold_out", f"tx-{n}-{days}", at_ms, {})
            self._append(RECIPIENTS.index(recipient) % PARTITIONS, msgspec.json.encode(one))
            if one.notice_id not in self.written[recipient]:
                self.written[recipient].append(one.notice_id)

    @rule(what=st.sampled_from([*RUBBISH, "time passes", "a person resends", "a person dismisses"]))
    def meanwhile(self, what: str) -> None:
        if what in RUBBISH:
            value = RUBBISH[what]
            self.rubbish.add(id_of(self._append(0, value), value or b""))
        else:
            self.happen(what)

    def _append(self, partition: int, value: bytes | None) -> str:
        offset = len(self.topic[partition])
        message = SimpleNamespace(
            value=lambda: value, topic=lambda: "notices", partition=lambda: partition,
            offset=lambda: offset, timestamp=lambda: (1, NOW),
        )  # fmt: skip
        self.topic[partition].append(message)
        return f"kafka:notices/{partition}/{offset}"

    @rule(
        most=st.integers(1, 3),
        plan=st.dictionaries(
            st.integers(-12, 12),
            st.sampled_from(["dies", "time passes", "another notifier", "another notifier",
                             "a person resends", "a person dismisses"]),
            max_size=4,
        ),
        answers=st.lists(
            st.sampled_from(["sent", "sent", "throttled", "refused", "lost on the way", "answer lost"]),
            max_size=6,
        ),
    )  # fmt: skip
    def run(self, most: int, plan: dict[int, str], answers: list[str]) -> None:
        """A notifier handles two batches, unless it dies."""
        process = Process(self, plan, answers)
        self.work(process, most)
        if not process.dead:
            self.work(Process(self, plan, answers), most)

    # -- what must hold ----------------------------------------------------------------------------

    @invariant()
    def each_goes_out_at_most_once_and_once_more_for_each_time_a_person_says_so(self) -> None:
        for found in self.sent.values():
            for one, times in Counter(found).items():
                assert times <= 1 + self.resent[one], one

    @invariant()
    def those_of_a_recipient_go_in_order(self) -> None:
        for recipient, found in self.sent.items():
            if recipient not in self.out_of_order:
                places = [self.written[recipient].index(one) for one in found]
                assert places == sorted(places), recipient

    def teardown(self) -> None:
        """None is lost: once all goes well again, each has an outcome."""
        while any(self.committed[p] < len(found) for p, found in enumerate(self.topic)):
            self.work(Process(self, {}, []), 10)
        log = Process(self, {}, []).log
        everything = {one for found in self.sent.values() for one in found}
        for one in (one for found in self.written.values() for one in found):
            logged = log.get(one)
            status = logged.status
            assert status in (
                "sent",
                "claimed",
                "uncertain",
                "failed",
                "expired",
                "dismissed",
                "waiting",
            )
            assert status != "sent" or one in everything
            # Only where another had read on: a person finds it in the list.
            assert status != "waiting" or (
                logged.notice and logged.notice.recipient in self.out_of_order
            )
        assert self.rubbish == set(self.letters)
        assert self.rows.keys() <= {one for found in self.written.values() for one in found}


def test_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds: list[World] = []

    class Watched(World):
        def __init__(self) -> None:
            super().__init__()
            worlds[:] = [self]

    monkeypatch.setattr(log_module, "now_ms", lambda: worlds[0].now_ms)
    monkeypatch.setattr(notifier_module, "FIRST_BACKOFF_S", 0)
    monkeypatch.setattr(service_module, "ThreadPoolExecutor", Here)
    few = settings(
        max_examples=200, stateful_step_count=30, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Watched, settings=few)
