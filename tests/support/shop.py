"""A shop of its own on the shared stack: its names, its traffic, its jobs, its proof.

All goes through the command line, as a user would do it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tillstream import conf as settings
from tillstream.catalog import topics
from tillstream.catalog.apart import apart
from tillstream.catalog.resources import Topic
from tillstream.clients.flink import FlinkRest
from tillstream.local.resources import create_resources
from tillstream.local.stack import Stack


class Shop:
    """``name`` keeps streams, topics, table and folders apart from those of other tests."""

    def __init__(self, stack: Stack, name: str, folder: Path, source: str, **overrides: Any):
        self.stack = stack
        self.truth = folder / "truth"
        self.source = source
        self.overrides = apart(name) | {
            "source": {
                "kind": source,
                "kinesis": {"stream": f"till-{name}"},
                "kafka": {"topic": f"till-{name}"},
            },
            "notify": {"file": str(folder / "notices.jsonl")},
            **overrides,
        }
        self.environment = os.environ | {
            "TILLSTREAM_HOME": str(stack.layout.home),
            "TILLSTREAM_CONF": json.dumps(self.overrides),
        }
        self.jobs: list[str] = []
        create_resources(self.conf())

    def conf(self) -> settings.Conf:
        os.environ["TILLSTREAM_HOME"] = str(self.stack.layout.home)
        return settings.load("local", self.overrides)

    def run(self, *arguments: str, timeout_s: float = 240, fails: bool = False) -> str:
        """Output of ``tillstream <arguments>``; fails the test unless the exit is as expected."""
        done = subprocess.run(
            [sys.executable, "-m", "tillstream.cli", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        said = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, f"tillstream {' '.join(arguments)}:\n{said}"
        return said

    def submit(self, job: str, parallelism: int = 1) -> None:
        self.run("job", "submit", job, "--parallelism", str(parallelism))
        self.jobs.append(job)

    def close(self) -> None:
        """Ends this shop's jobs, so that the slots are free for the next."""
        rest = self.rest()
        for job in set(self.jobs):
            if rest.running(job):
                rest.cancel(rest.running(job) or "")

    def rest(self) -> FlinkRest:
        return FlinkRest(self.stack.layout.read()["flink"]["rest"])

    def feed(self, count: int, rate: int, *options: str) -> Feed:
        """Traffic in the background."""
        return Feed(self, ["sim", "--to", self.source, "--count", str(count), "--rate", str(rate),
                           "--truth", str(self.truth), *options])  # fmt: skip

    def wait_for_entries(
        self, count: int, timeout_s: float = 90, topic: Topic = topics.LOYALTY_EVENTS
    ) -> None:
        """Until the job has written ``count`` events: it is in mid-traffic."""
        from confluent_kafka import Consumer, TopicPartition

        named = self.conf().topic(topic)
        consumer = Consumer(
            {"bootstrap.servers": self.conf().kafka.bootstrap or "", "group.id": "test"}
        )
        deadline = time.monotonic() + timeout_s
        try:
            partitions = consumer.list_topics(named, 10).topics[named].partitions
            while time.monotonic() < deadline:
                ends = [
                    consumer.get_watermark_offsets(TopicPartition(named, p), timeout=10)[1]
                    for p in partitions
                ]
                if sum(ends) >= count:
                    return
                time.sleep(0.3)
        finally:
            consumer.close()
        raise AssertionError(f"no {count} events within {timeout_s} s, but {sum(ends)}")

    def wait_for_checkpoints(self, job: str, more: int = 1, timeout_s: float = 60) -> None:
        """Until ``more`` further checkpoints of ``job`` are complete."""
        rest = self.rest()
        job_id = rest.running(job)
        assert job_id, f"{job} is not running"
        goal = rest.completed_checkpoints(job_id) + more
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if rest.completed_checkpoints(job_id) >= goal:
                return
            time.sleep(0.3)
        raise AssertionError(f"{job}: no {more} checkpoints within {timeout_s} s")

    def prove(self, order: str = "sent", wait_s: int = 150, *options: str) -> dict[str, Any]:
        """The independent check must find everything equal; returns its totals."""
        said = self.run(
            "check", "--truth", str(self.truth), "--order", order, "--wait", str(wait_s),
            "--json", *(options or ("--no-archive",)), timeout_s=wait_s + 120,
        )  # fmt: skip
        return json.loads(said[said.index("{") :])


class Feed(threading.Thread):
    """Runs the simulator; ``done`` waits for it and for its exit code."""

    def __init__(self, shop: Shop, arguments: list[str]):
        super().__init__(daemon=True)
        self._shop = shop
        self._arguments = arguments
        self._failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._shop.run(*self._arguments)
        except BaseException as failure:
            self._failure = failure

    def done(self, timeout_s: float = 240) -> None:
        self.join(timeout_s)
        assert not self.is_alive(), f"the simulator still sends after {timeout_s} s"
        if self._failure:
            raise self._failure
