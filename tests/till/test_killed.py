"""kill -9 at moments drawn by a seed: nothing is lost, keys keep their order, few records come twice.

Tills hand over files and post to the endpoint, each till in its order, sending again what had no answer.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support import ROOT
from tests.till.kinesis_server import KinesisServer
from tillstream.clients.retry import Keyed

BATCH = 8
TILLS = 4  # that post; as many more write files
KILLS_EACH = 5  # of one spool
# Of one kill: a batch of a file, a post of each till, and a batch that is drained.
DOUBLED_BY_A_KILL = 2 * BATCH + TILLS


class Store:
    """A forwarder that dies and comes back, the stream, and tills that go on selling."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random, self.folder = Random(seed), folder
        self.stream = KinesisServer()
        self.stream.outcome, self.stream.at = self.outcome, self.at
        self.sold: dict[str, list[bytes]] = {}
        self.safe = 0
        self.done = threading.Event()
        self.lost_answers: Counter[Keyed] = Counter()
        self.kills = 0
        self.kill_at: tuple[str, int] | None = None
        self.process: subprocess.Popen[str] | None = None
        self.lock = threading.Lock()
        (folder / "in").mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    # -- the stream: sometimes throttled, deaf or away -----------------------------------------------

    def outcome(self, key: str) -> str:
        return "ProvisionedThroughputExceededException" if self.random.random() < 0.05 else ""

    def at(self, place: str, records: list[Keyed]) -> None:
        if self.kill_at and self.kill_at[0] == place:
            self.kill_at = (place, self.kill_at[1] - 1)
            if not self.kill_at[1]:
                self.kill_at = None
                self.kill()
        if place == "taken" and self.random.random() < 0.03:
            self.lost_answers.update(records)
            raise ConnectionError

    # -- the forwarder -----------------------------------------------------------------------------

    def start(self) -> None:
        own = {"port": self.stream.port, "spool": str(self.folder / "spool"), "batch": BATCH,
               "watch": str(self.folder / "in"), "listen": self.port}  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.till.forwarder_process", json.dumps(own)],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        with self.lock:
            if self.process.poll() is None:
                self.process.kill()
                self.kills += 1

    def live_and_die(self) -> None:
        """From a start to a kill: at a time, or as a request comes in or before it is answered."""
        draw = self.random.random()
        place = "request" if draw < 0.25 else "taken" if draw < 0.5 else ""
        self.start()
        if place:
            self.kill_at = (place, self.random.randint(1, 12))
        self.stream.away = self.random.random() < 0.3  # so that the spool is filled, and drained
        until = time.monotonic() + self.random.uniform(0.02, 0.8)
        while self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        self.kill()
        self.process.wait()
        self.process.stdout.close()
        self.kill_at, self.stream.away = None, False

    # -- tills -------------------------------------------------------------------------------------

    def record(self, key: str) -> bytes:
        sold = self.sold.setdefault(key, [])
        sold.append(json.dumps({"schema": 1, "customer_id": key, "n": len(sold)}).encode())
        return sold[-1]

    def posts(self, till: int) -> None:
        while not self.done.is_set():
            body = self.record(f"P{till}")
            while not self.posted(body):
                time.sleep(0.02)

    def posted(self, body: bytes) -> bool:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            line.request("POST", "/records", body)
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()

    def writes(self) -> None:
        """Files of more than a batch too, with records of several tills."""
        random, number = Random(self.random.random()), 0
        while not self.done.is_set():
            lines = [
                self.record(f"F{random.randrange(TILLS)}")
                for _ in range(random.choice((1, 3, 2 * BATCH + 5)))
            ]
            half = self.folder / "in" / f".{number:06d}"
            half.write_bytes(b"\n".join(lines))
            half.rename(self.folder / "in" / f"{number:06d}.ndjson")
            number += 1
            while len(os.listdir(self.folder / "in")) > 5 and not self.done.is_set():
                time.sleep(0.01)

    # -- all of it ---------------------------------------------------------------------------------

    def run(self, kills: int) -> None:
        threads = [threading.Thread(target=self.posts, args=(n,)) for n in range(TILLS)]
        threads.append(threading.Thread(target=self.writes))
        for thread in threads:
            thread.start()
        for _ in range(kills):
            self.live_and_die()
        self.done.set()
        self.start()
        for thread in threads:
            thread.join()
        until = time.monotonic() + 60
        while os.listdir(self.folder / "in"):
            assert time.monotonic() < until, "files are left"
            time.sleep(0.05)
        self.process.terminate()
        assert self.process.wait(60) == 0
        self.process.stdout.close()

    def judge(self) -> None:
        came = Counter(self.stream.taken)
        sold = Counter((key, raw) for key, all_of in self.sold.items() for raw in all_of)
        assert set(came) == set(sold), "each is there, and nothing else"
        first = list(dict.fromkeys(self.stream.taken))
        for key, all_of in self.sold.items():
            assert [raw for one, raw in first if one == key] == all_of, f"the order of {key}"
        twice = came - sold - self.lost_answers
        assert sum(twice.values()) <= self.kills * DOUBLED_BY_A_KILL
        assert all(times <= self.kills for times in twice.values())


@pytest.fixture
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    found = Store(tmp_path, request.param)
    yield found
    found.done.set()
    if found.process and found.process.poll() is None:
        found.process.kill()
        found.process.wait()
    found.stream.close()


@pytest.mark.parametrize("store", [1], indirect=True)
def test_a_forwarder_that_is_killed_loses_nothing_and_doubles_little(store: Store) -> None:
    store.run(KILLS_EACH)
    store.judge()


@pytest.mark.long
@pytest.mark.parametrize("store", range(2, 12), indirect=True)
def test_fifty_kills_lose_nothing_and_double_little(store: Store) -> None:
    store.run(KILLS_EACH)
    store.judge()
