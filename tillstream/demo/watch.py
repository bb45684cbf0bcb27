"""What the live view shows: figures gathered in the background from Flink and Kafka."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson
from confluent_kafka import Consumer, TopicPartition

from tillstream import catalog
from tillstream.catalog import topics
from tillstream.clients.kafka import reader_settings
from tillstream.cluster.protocol import Cluster
from tillstream.conf import Conf
from tillstream.errors import Problem

RATE_WINDOW_S = 5.0


class Rate:
    """Events a second over the last few seconds of a growing count."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, count: int) -> float:
        now = time.monotonic()
        self._seen.append((now, count))
        while now - self._seen[0][0] > RATE_WINDOW_S:
            self._seen.popleft()
        began, first = self._seen[0]
        return (count - first) / (now - began) if now - began > 0.5 else 0.0


@dataclass
class JobFigures:
    """One job now: ``read`` is the number of records its source has handed on. checked: whether it reads
    what the front door has written."""

    name: str
    checked: bool = False
    state: str = "starting"
    read: int = 0
    checkpoints: int = 0
    checkpoint_ms: int = 0
    failures: int = 0


@dataclass
class Figures:
    """All that is shown. Counts grow from zero at the start of the view. checked: what the front door has
    written."""

    jobs: dict[str, JobFigures] = field(default_factory=dict)
    checked: int = 0
    events: int = 0
    last_events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=8))
    dead_letters: set[str] = field(default_factory=set)
    last_dead_letters: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=3))

    def waiting(self, job: JobFigures, sent: int) -> int:
        """Records that it has not read; ``sent``: by the tills."""
        return max((self.checked if job.checked else sent) - job.read, 0)


class Watch:
    """Reads the job's own outputs as any consumer would. ``figures`` is always current."""

    def __init__(self, conf: Conf, cluster: Cluster, jobs: dict[str, str]) -> None:
        checked = {name: not catalog.job(name).raw for name in jobs}
        self.figures = Figures({name: JobFigures(name, checked[name]) for name in jobs})
        self._conf = conf
        self._cluster = cluster
        self._jobs = jobs
        self._failed_before: dict[str, int] = {}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=loop, daemon=True) for loop in (self._kafka, self._rest)
        ]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def _kafka(self) -> None:
        events = self._conf.topic(topics.LOYALTY_EVENTS)
        dead = self._conf.topic(topics.DEAD_LETTERS)
        checked = self._conf.topic(topics.TRANSACTIONS)
        consumer = Consumer(reader_settings(self._conf, "demo"))
        try:
            known = consumer.list_topics(timeout=10).topics
            consumer.assign(
                [TopicPartition(t, p, 0) for t in (events, dead) for p in known[t].partitions]
            )
            of_door = [TopicPartition(checked, p) for p in known[checked].partitions]
            while not self._stop.is_set():
                ends = (consumer.get_watermark_offsets(one, timeout=5) for one in of_door)
                self.figures.checked = sum(end[1] for end in ends if end)
                for message in consumer.consume(1_000, timeout=0.25):
                    if message.error() is None:
                        self._take(message, message.topic() == dead)
        finally:
            consumer.close()

    def _take(self, message: Any, dead: bool) -> None:
        if not dead:
            self.figures.events += 1
            self.figures.last_events.append(orjson.loads(message.value()))
            return
        origin = (message.key() or b"").decode()
        if origin in self.figures.dead_letters:
            return  # another job met the same record
        self.figures.dead_letters.add(origin)
        headers = {name: (value or b"").decode() for name, value in message.headers() or ()}
        self.figures.last_dead_letters.append((headers.get("tillstream.reason", "?"), origin))

    def _rest(self) -> None:
        while not self._stop.wait(0.5):
            for name, job_id in self._jobs.items():
                try:
                    self._look(self.figures.jobs[name], job_id)
                except Problem:  # whatever has become of the stack
                    self.figures.jobs[name].state = "unreachable"

    def _look(self, figures: JobFigures, job_id: str) -> None:
        seen, checkpoints = self._cluster.figures(job_id), self._cluster.checkpoints(job_id)
        figures.state, figures.read = seen.state.lower(), seen.read
        figures.checkpoints = checkpoints.completed
        failed = checkpoints.failed
        # While a job starts, Flink counts each one that is due as failed.
        figures.failures = failed - self._failed_before.setdefault(job_id, failed)
        figures.checkpoint_ms = checkpoints.last.duration_ms if checkpoints.last else 0
