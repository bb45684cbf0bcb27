"""A replay with everything killed in its midst, one out of the archive, and a savepoint verified."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from tests.support.shop import Shop
from tests.support.stacks import kill
from tillstream.catalog import tables, topics
from tillstream.clients import aws as clients

PATIENCE_S = 240  # a busy machine takes longer, not another way
DIRTY = ("--duplicates", "0.01", "--malformed", "0.01", "--redemptions", "0.03")


class Reader(threading.Thread):
    """Polls 100 hot items and keeps what fell."""

    def __init__(self, shop: Shop, customers: list[str]):
        super().__init__(daemon=True)
        self._client = clients.dynamodb(shop.conf())
        self._table = shop.conf().table(tables.BALANCES)
        self._keys = [{"customer_id": {"S": customer}} for customer in customers]
        self._done = threading.Event()
        self.newest: dict[str, int] = {}
        self.fell: list[str] = []
        self.looks = 0
        self.start()

    def run(self) -> None:
        while not self._done.wait(0.05):
            try:
                asked = {self._table: {"Keys": self._keys, "ConsistentRead": True}}
                answer = self._client.batch_get_item(RequestItems=asked)
            except (BotoCoreError, ClientError):
                continue  # killed with the rest
            self.looks += 1
            for item in answer["Responses"][self._table]:
                customer, version = item["customer_id"]["S"], int(item["version"]["N"])
                if version < self.newest.get(customer, 0):
                    self.fell.append(f"{customer}: {self.newest[customer]} -> {version}")
                self.newest[customer] = version

    def stop(self) -> None:
        self._done.set()
        self.join(30)


@pytest.fixture
def shop(stack, tmp_path: Path) -> Iterator[Shop]:
    stack.up(taskmanagers=3)
    made = Shop(stack, f"replay-{os.urandom(3).hex()}", tmp_path, "kafka")
    pace = {"sms": 500, "alert": 500, "order": 500}
    made.change(notify={"per_second": pace, "lease_s": 1}, dynamodb={"replay_hold_ms": 4_000})
    yield made
    made.close()


def sent_customers(shop: Shop) -> list[str]:
    found: dict[str, None] = {}
    with (shop.truth / "sent.jsonl").open("rb") as file:
        for line in file:
            try:
                record = orjson.loads(line).get("record") or {}
            except orjson.JSONDecodeError:
                break  # still being written
            if "customer_id" in record:
                found[record["customer_id"]] = None
            if len(found) == 100:
                break
    return list(found)


def notifier(shop: Shop) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tillstream.cli", "notify", "run"]
    process = subprocess.Popen(command, env=shop.environment, stdout=subprocess.DEVNULL)
    shop.started.append(process)
    return process


def settle_notices(shop: Shop) -> list[dict[str, Any]]:
    """What a person would do: dismiss what the outbox has, send what it has not."""
    time.sleep(1.1)  # claims are of one second, by a clock of this machine
    shop.run("notify", "run", "--until-idle", "4")
    outbox = Path(shop.conf().notify.file or "").read_text()
    uncertain = [json.loads(x) for x in shop.run("notify", "list", "--json").splitlines()]
    for one in uncertain:
        decision = "dismiss" if f'"{one["notice_id"]}"' in outbox else "resend"
        shop.run("notify", decision, one["notice_id"])
    return uncertain


@pytest.mark.long
def test_a_replay_killed_with_everything_in_its_midst_is_taken_up_again(shop):
    shop.submit("loyalty")
    feed = shop.feed(1_500, *DIRTY, "--customers", "5000")
    telling = notifier(shop)
    shop.wait_for_entries(5_000, PATIENCE_S)
    assert "loyalty as of" in shop.run("savepoint", "take", "loyalty")
    shop.wait_for_entries(shop.written() + 12_000, PATIENCE_S)
    shop.wait_for_checkpoints("loyalty", timeout_s=PATIENCE_S)
    reader = Reader(shop, sent_customers(shop))
    shop.run("job", "cancel", "loyalty")
    feed.stop()

    before = shop.written()
    (kept,) = map(json.loads, shop.run("savepoint", "list", "loyalty", "--json").splitlines())
    assert kept["positions"][f"kafka:{shop.conf().topic(topics.TRANSACTIONS)}"].keys() == set(
        "0123"
    )
    shop.run("replay", "--job", "loyalty", "--from", kept["location"], "--no-wait")
    shop.wait_for_entries(before + 2_000, PATIENCE_S)
    shop.wait_for_checkpoints("loyalty", timeout_s=PATIENCE_S)
    processes = shop.stack.layout.read()["processes"]
    for process in sorted(
        processes, key=lambda name: name != "supervisor"
    ):  # it starts the others again
        kill(shop.stack, process)
    telling.send_signal(signal.SIGKILL)
    telling.wait()

    shop.stack.up()
    shop.run("job", "restore", "intake")
    said = shop.run("replay", "--job", "loyalty", "--resume")
    assert "restoring its last checkpoint" in said
    assert "loyalty is live" in said
    assert "rows of before are replaced" in said
    uncertain = settle_notices(shop)
    reader.stop()
    assert len(uncertain) <= shop.conf().notify.workers
    found = shop.prove("sent", 120, "--no-archive", "--notices")
    assert found["totals"]["notices sent"][0] > 100
    assert reader.looks > 50
    assert len(reader.newest) == 100
    assert reader.fell == []


@pytest.mark.timeout(1100)
def test_what_the_stream_no_longer_holds_comes_out_of_the_archive_without_a_seam(shop):
    shop.submit("loyalty")
    shop.submit("archive")
    feed = shop.feed(100, *DIRTY)
    shop.wait_for_entries(500, PATIENCE_S)
    shop.run("savepoint", "take", "loyalty")
    shop.wait_for_entries(1_000, PATIENCE_S)
    shop.run("job", "cancel", "loyalty")
    kept = json.loads(shop.run("savepoint", "list", "loyalty", "--json").splitlines()[0])
    topic = shop.conf().topic(topics.TRANSACTIONS)
    begun = {int(n): int(at) for n, at in kept["positions"][f"kafka:{topic}"].items()}
    trimmed = {partition: offset + 100 for partition, offset in begun.items()}
    shop.wait_until_read("archive", PATIENCE_S, trimmed)
    admin = AdminClient({"bootstrap.servers": shop.conf().kafka.bootstrap or ""})
    gone = admin.delete_records([TopicPartition(topic, p, at) for p, at in trimmed.items()])
    assert {p.partition: f.result().low_watermark for p, f in gone.items()} == trimmed

    restore = ("job", "restore", "loyalty", "--from", kept["location"])
    said = shop.run(*restore, fails=True)
    assert f"partition 0 of {topic} begins at {trimmed[0]:,}, the state goes on at" in said
    assert "100 records in between are gone" in said
    assert "what to do: `tillstream savepoint list loyalty`" in said
    before = shop.written()
    assert said.count("100 records") == shop.run(*restore, "--accept-loss").count(
        "lost, and accepted"
    )
    shop.wait_for_entries(before + 200, PATIENCE_S)
    shop.run("job", "cancel", "loyalty")  # what it wrote is of other balances

    said = shop.run("replay", "--job", "loyalty", "--from", kept["location"], timeout_s=500)
    assert "no longer holds 400 records" in said
    assert "on to the stream" in said
    assert "loyalty is live" in said
    feed.stop()
    shop.prove("sent", 120, "--archive")


@pytest.mark.long
def test_a_savepoint_is_verified_by_restoring_it_elsewhere(shop):
    shop.submit("loyalty")
    shop.feed(3_000, "--count", "3000").done()
    shop.wait_for_entries(1_500, PATIENCE_S)
    shop.run("savepoint", "take", "loyalty")
    shop.run("job", "stop", "loyalty")
    said = shop.run("savepoint", "verify", "loyalty")
    assert "restored in" in said
    kept = json.loads(shop.run("savepoint", "list", "loyalty", "--json").splitlines()[0])
    assert kept["verified"]["state_bytes"] > 10_000
    # Of each hour the newest stays; tests before this one have left older ones, of this hour or the last.
    assert shop.run("savepoint", "prune", "loyalty").endswith(" are there\n")
    left = shop.run("savepoint", "list", "loyalty", "--json").splitlines()
    assert 1 <= len(left) <= 2
    assert json.loads(left[0])["location"] == kept["location"]
