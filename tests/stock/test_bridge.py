"""The bridge through what a stream does: empty pages, busy shards, splits, expiry, trimming, failures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from threading import Event, Timer

import pytest
from confluent_kafka import Producer

from tests.stock.test_corrections import image
from tests.support.table_stream import (
    FAULTS,
    LETTERS,
    MOVEMENTS,
    START_S,
    FakeShard,
    World,
    refused,
)
from tillstream.clients.delivery import Writer, open_producer
from tillstream.clients.whole_topic import read_whole
from tillstream.conf import load
from tillstream.dead_letters.read import of_message
from tillstream.domain.dead_letter import MOST_BYTES
from tillstream.stock.bridge import FLUSH_SECONDS, ONCE_ATTEMPTS, PATIENT, Writers, open_bridge
from tillstream.stock.stream import ONCE_EMPTY_PAGES, BridgeError

MILK = "2000000000411"
NOBODY = "http://127.0.0.1:1"
BY_HAND = {  # as it came: a shelf that nobody but a person has written
    "stock_key": {"S": f"45/{MILK}"},
    "quantity": {"N": "12"},
    "corrected_at_ms": {"N": "1764000000000"},
}


def count(pieces: int, store: int = 45) -> dict:
    return image(pieces, 17, "by hand") | {"store": {"S": str(store)}}


def pieces(world: World) -> list[int]:
    return [json.loads(value)["lines"][0]["quantity"] for _, value in world.topics[MOVEMENTS]]


@pytest.fixture
def world() -> World:
    return World()


def only(world: World) -> FakeShard:
    (shard,) = world.shards.values()
    return shard


def test_a_page_without_records_is_followed_by_the_next(world):
    only(world).records = [None]
    world.write(only(world), count(7))
    assert world.bridge().once() == 1
    assert pieces(world) == [7]


def test_many_empty_pages_are_gone_through_while_it_runs(world):
    only(world).records = [None] * (2 * ONCE_EMPTY_PAGES)
    world.write(only(world), count(7))
    world.bridge(seconds=300).run(1.0)
    assert pieces(world) == [7]


def test_of_a_closed_shard_once_finds_the_end_however_many_pages_are_empty(world):
    only(world).records = [None] * (2 * ONCE_EMPTY_PAGES)
    world.write(only(world), count(7))
    only(world).closed = True
    world.shards["shard-1"] = FakeShard("shard-1", "shard-0")
    world.write(world.shards["shard-1"], count(8))
    assert world.bridge().once() == 2


def test_once_ends_on_dynoxide_s_shard_which_says_an_end_and_is_open(world):
    name = "shardId-00000001-stock"
    world.shards = {name: FakeShard(name, says_end=True)}
    world.write(only(world), count(7))
    assert world.bridge().once() == 1


def test_once_ends_on_a_shard_that_is_written_to_all_the_time(world):
    shard, call = only(world), World.call
    world.write(shard, count(1))

    def busy(work):
        world.now_s += 1
        world.write(shard, count(9), count(9))
        return call(world, work)

    world.call = busy
    world.bridge().once()
    assert pieces(world)[0] == 1


def test_shards_take_turns(world):
    world.shards["shard-1"] = FakeShard("shard-1")
    for n in range(50 * world.page_size):
        world.write(world.shards["shard-0"], count(n))
    world.write(world.shards["shard-1"], count(1, store=46))
    world.bridge().once()
    assert world.topics[MOVEMENTS][world.page_size][0] == f"46/{MILK}"


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"crash"}))
def test_a_shard_that_fails_holds_up_no_other_and_is_tried_without_end(world, fault):
    world.shards["shard-1"] = FakeShard("shard-1")
    for n in range(60):
        world.write(world.shards["shard-0"], count(n))
        world.write(world.shards["shard-1"], count(n, store=46))
    call = world.call
    failed = 0

    def of_one_shard(work):
        nonlocal failed
        if world.now_s < START_S + 900 and world.reads and world.reads[-1] == "shard-0":
            world.reads.append("")
            failed += 1
            world.now_s += 0.01
            raise FAULTS[fault]()
        return call(work)

    world.call = of_one_shard
    world.bridge(seconds=600).run(1.0)
    assert [key for key, _ in world.topics[MOVEMENTS]] == [f"46/{MILK}"] * 60
    assert 10 < failed < 60, "not too often"
    assert any("shard shard-0" in line and "tried again in" in line for line in world.said)
    world.bridge(seconds=900).run(1.0)
    assert len(world.topics[MOVEMENTS]) == 120
    assert "shard shard-0: goes on" in world.said


def test_it_is_quiet_about_a_failure_that_lasts_for_days(world):
    world.write(only(world), count(1))
    call = world.call

    def down(work):
        if world.now_s < START_S + 86_400:
            world.now_s += 3
            raise FAULTS["no connection"]()
        return call(work)

    world.call = down
    world.bridge(seconds=86_400 + 600).run(60.0)
    assert pieces(world) == [1]
    assert len(world.said) < 2 * 24 * 60 + 20


def test_once_gives_up_after_some_attempts_and_says_why(world):
    world.call = lambda work: (_ for _ in ()).throw(FAULTS["slow down"]())
    with pytest.raises(BridgeError, match=r"table stock .*list of shards.*Throttling"):
        world.bridge().once()
    assert len(world.said) == ONCE_ATTEMPTS - 1


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ValidationException", "ResourceNotFoundException"]
)
def test_what_no_attempt_will_change_ends_it(world, code):
    world.call = lambda work: (_ for _ in ()).throw(refused(code))
    with pytest.raises(BridgeError, match=code):
        world.bridge().run(1.0)


def test_the_position_is_written_after_each_page(world):
    for n in range(9):
        world.write(only(world), count(n))
    seen = []
    world.remembered = lambda shard, position: seen.append((int(position), len(pieces(world))))
    world.bridge().once()
    assert seen == [(3, 3), (6, 6), (9, 9)]
    assert world.bridge().once() == 0


def test_an_iterator_that_expired_is_replaced_where_the_shard_was_left(world):
    for n in range(3):
        world.write(only(world), count(n))
    running = world.bridge(seconds=1200)
    call, expired = world.call, False

    def later(work):
        nonlocal expired
        if not expired and world.now_s > START_S + 900:
            expired = True
            world.generation += 1
            world.write(only(world), count(8))
        return call(work)

    world.call = later
    running.run(1.0)
    assert pieces(world) == [0, 1, 2, 8]


def test_away_for_longer_than_a_stream_keeps_it_reads_what_is_left_and_says_so(world):
    for n in range(3):
        world.write(only(world), count(n))
    world.bridge().once()
    for n in range(3, 6):
        world.write(only(world), count(n))
    only(world).trimmed = 5
    assert world.bridge().once() == 1
    assert pieces(world) == [0, 1, 2, 5]
    assert any("count again" in line for line in world.said)


def test_children_wait_for_their_parent_and_go_on_without_one_that_is_gone(world):
    for n in range(5):
        world.write(only(world), count(n))
    only(world).closed = True
    for name in ("shard-1", "shard-2"):
        world.shards[name] = FakeShard(name, "shard-0")
        world.write(world.shards[name], count(int(name[-1]) * 10))
    world.bridge().once()
    assert pieces(world) == [0, 1, 2, 3, 4, 10, 20]
    again = World()
    again.shards["shard-1"] = FakeShard("shard-1", "shard-0")
    del again.shards["shard-0"]
    again.write(again.shards["shard-1"], count(30))
    again.bridge().once()
    assert pieces(again) == [30]


def test_a_shard_that_is_gone_between_list_and_reading_is_left(world):
    world.shards["shard-1"] = FakeShard("shard-1")
    world.write(world.shards["shard-1"], count(1))
    call = world.call

    def gone(work):
        if world.reads and "shard-0" in world.shards:
            del world.shards["shard-0"]
        return call(work)

    world.call = gone
    world.bridge(seconds=60).run(1.0)
    assert pieces(world) == [1]


def test_a_stream_without_both_images_is_refused_with_the_fix(world):
    call = world.call

    def keys_only(work):
        answer = call(work)
        answer.get("StreamDescription", {})["StreamViewType"] = "KEYS_ONLY"
        return answer

    world.call = keys_only
    with pytest.raises(BridgeError, match="new and old images: enable one"):
        world.bridge().once()


def test_a_new_shelf_by_hand_is_reported_once_and_left(world):
    world.write(only(world), BY_HAND)
    world.write(only(world), count(7))
    assert world.bridge().once() == 1
    assert world.bridge().once() == 0
    ((origin, raw),) = world.topics[LETTERS]
    assert origin == "dynamodb:stock/shard-0/000000000000000000001"
    assert json.loads(raw)["dynamodb"]["NewImage"] == BY_HAND
    assert sum(origin in line for line in world.said) == 1


def test_the_job_s_own_writes_and_removals_are_left_without_a_word(world):
    world.write(only(world), image(199, 18), image(200, 17))
    world.write(only(world), None, image(200, 17))
    assert world.bridge().once() == 0
    assert (world.topics, world.said) == ({}, [])


def test_kafka_is_waited_for_and_named(world):
    world.write(only(world), count(1))
    world.kafka_is_back_s = START_S + 3600
    world.bridge(seconds=7200).run(1.0)
    assert pieces(world) == [1]
    told = [line for line in world.said if "Kafka does not answer" in line]
    assert 60 < len(told) <= 120


@pytest.mark.parametrize("running", [False, True])
def test_a_shard_that_is_off_the_list_before_its_end_is_told_once(world, running):
    """The stream keeps 24 hours; whoever comes later finds other shards and is refused nothing."""
    world.write(only(world), count(1))
    bridge = world.bridge()
    bridge.once()
    del world.shards["shard-0"]
    world.shards["shard-7"] = FakeShard("shard-7", "shard-6")
    world.write(world.shards["shard-7"], count(8))
    (bridge if running else world.bridge()).once()
    world.bridge().once()
    assert pieces(world) == [1, 8]
    assert [line for line in world.said if "count again" in line] == [world.said[0]]
    assert "shard-0" in world.said[0]


def test_told_to_stop_while_kafka_is_away_it_does_at_once_and_forgets_nothing(world):
    world.write(only(world), count(1))
    world.kafka_is_back_s = START_S + 3600
    world.bridge(seconds=20).run(1.0)
    assert world.now_s <= START_S + 20 + 2 * FLUSH_SECONDS
    assert world.positions == {}
    world.now_s = world.kafka_is_back_s
    assert world.bridge().once() == 1


def test_a_record_that_kafka_refuses_is_sent_again_with_all_after_it(world):
    for n in range(3):
        world.write(only(world), count(n))
    world.kafka_refuses_after = 1
    world.bridge(seconds=60).run(1.0)
    assert pieces(world) == [0, 0, 1, 2]
    assert any("Kafka does not take a record" in line for line in world.said)


def test_a_change_larger_than_kafka_takes_is_a_dead_letter_all_the_same(world):
    world.write(
        only(world), BY_HAND | {"note": {"S": "x" * 390_000}}, {"note": {"S": "y" * 390_000}}
    )
    world.bridge().once()
    ((_, raw),) = world.topics[LETTERS]
    assert len(raw) <= MOST_BYTES


# -- with the real clients -------------------------------------------------------------------------


@pytest.fixture
def broker():
    """Address of librdkafka's mock broker, with the bridge's topics."""
    producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0})
    for topic in ("stock-movements", "dead-letters"):
        producer.produce(topic, b"")
    assert producer.flush(30) == 0
    (found,) = producer.list_topics(timeout=10).brokers.values()
    yield f"{found.host}:{found.port}"
    producer.flush(0)


def test_a_correction_and_a_dead_letter_are_in_kafka_as_others_read_them(broker, world):
    world.write(only(world), count(150))
    world.write(only(world), BY_HAND)
    conf = load("local", {"kafka": {"bootstrap": broker}, "dynamodb": {"endpoint": NOBODY}})
    running = world.bridge()
    running._open_writers = open_bridge(conf, print, Event())._open_writers
    assert running.once() == 1
    (moved,) = [m for m in read_whole(conf, "test", "stock-movements") if m.key()]
    assert json.loads(moved.value())["lines"] == [{"product": MILK, "quantity": 150}]
    (letter,) = [m for m in read_whole(conf, "test", "dead-letters") if m.key()]
    found = of_message(letter.key(), letter.headers(), letter.value(), 0)
    assert (found.failure.job, found.failure.reason) == ("bridge", "missing_field")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_command_while_dynamodb_is_away(broker, number):
    overrides = {"kafka": {"bootstrap": broker}, "dynamodb": {"endpoint": NOBODY}}
    environment = os.environ | {"TILLSTREAM_CONF": json.dumps(overrides)}
    running = subprocess.Popen(
        [sys.executable, "-m", "tillstream.cli", "streams", "bridge"],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while "tried again in" not in running.stdout.readline():
            assert running.poll() is None
        running.send_signal(number)
        assert running.wait(60) == 0
    finally:
        running.kill()


def test_told_to_stop_while_a_producer_has_no_broker_nothing_is_taken_for_delivered(world):
    world.write(only(world), count(1))
    settings = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0, "error_cb": lambda error: None}
    producer = open_producer(settings | PATIENT)
    running, stop = world.bridge(), Event()
    running._stop = stop
    running._open_writers = lambda: Writers(Writer(producer, "a"), Writer(producer, "b"))
    Timer(1.5, stop.set).start()
    running.run(1.0)
    assert (world.positions, len(producer)) == ({}, 1)
