"""The fraud job on real protocols: what happened to two customers, rules changed under load, a
restore, and a day of real data judged exactly as the pure rules judge it."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.sales import checked, refund
from tests.support.shop import Shop
from tests.support.tills import DAY_MS, HOUR_MS, Tap, Tills, evenings, sale, today_ms
from tests.support.wait import wait_for
from tillstream.catalog import tables, topics
from tillstream.check.platform import Platform
from tillstream.clients import aws as clients
from tillstream.domain.fraud.decision import Label
from tillstream.domain.fraud.sale import made_of
from tillstream.fraud import rule_sets
from tillstream.fraud.pure_job import PureJob
from tillstream.fraud.rules_file import packaged_rules
from tillstream.reference import packaged_clocks, packaged_rates

NEW_CARD = "tok_z9y8x7w6v5u4t3s2"


@pytest.fixture
def open_shop(open_shop) -> Callable[..., Shop]:
    def opener(name: str, **fraud) -> Shop:
        return open_shop(f"fraud-{name}", "kafka", **({"fraud": fraud} if fraud else {}))

    return opener


AUDITED = ["transaction_id", "rules_version", "score", "watched", "decision"]


def audit_of(shop: Shop) -> Callable[[], pa.Table]:
    """Reads what is in the audit on S3; remembers the files it has read."""
    return partial(Platform(shop.conf()).parquet, tables.FRAUD_AUDIT, AUDITED)


def used(audit: Callable[[], pa.Table]) -> set[str]:
    """Versions of the rules that have judged a sale."""
    return set(audit()["rules_version"].to_pylist())


def wait_for_audit(shop: Shop, count: int, timeout_s: float = 120) -> list[dict]:
    """Every row of the audit, once there are so many."""
    what = f"{count} audited decisions"
    rows = wait_for(audit_of(shop), timeout_s, what, lambda found: len(found) >= count, 1)
    return rows.to_pylist()


def explained(shop: Shop, transaction: str, timeout_s: float = 60) -> dict:
    """What ``tillstream explain`` says once it knows: a notice may be told before its why is written."""

    def look() -> dict | None:
        with suppress(AssertionError):
            return json.loads(shop.run("explain", transaction, "--json"))
        return None

    return wait_for(look, timeout_s, f"tillstream explain {transaction}", every_s=0.5) or {}


def wait_for_cases(shop: Shop, transactions: set[str], timeout_s: float = 60) -> None:
    """Until exactly these have an open case: notices may be told before their case is written."""

    def look() -> set[str]:
        lines = shop.run("fraud", "cases", "--json").splitlines()
        return {json.loads(line)["transaction_id"] for line in lines}

    wait_for(look, timeout_s, f"open cases of {transactions}", transactions.__eq__, 0.5)


def rule_set(version: str, **changes) -> dict:
    """The packaged one; what is of last night is not too late to be held."""
    patient = {"late_minutes": 3 * 24 * 60}
    return json.loads(packaged_rules().raw) | {"version": version} | patient | changes


def test_the_stolen_card_and_the_gift_cards(open_shop, tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps(rule_set("patient")))
    shop = open_shop("story", rules=str(file))
    conf = shop.conf()
    shop.submit("fraud", parallelism=2)
    notices, holds = (Tap(conf, conf.topic(one)) for one in (topics.NOTICES, topics.HOLDS))
    tills = Tills(conf)
    regulars = evenings("C0000012345", "cape-town", 30_000, 50_000) + evenings(
        "C0000000789", "grocer", 20_000, 40_000, card_token="tok_b2c3d4e5f6g7h8i9"
    )
    tills.send(sorted(regulars, key=lambda s: s["event_time_ms"]))
    stolen = sale("durban-0001", today_ms(), 400_000, store=156, till=2, region="kwazulu-natal",
                  card_token=NEW_CARD)  # fmt: skip
    gifts = sale("gift-cards-0001", today_ms(), 500_000, customer_id="C0000000789", pieces=10,
                 category="gift-cards", payment_method="mobile", card_token=None)  # fmt: skip
    shop.wait_until_read("fraud")  # what is usual is known by then
    tills.send([stolen, gifts])
    notices.wait(lambda n: n["kind"] == "alert", 2)
    for customer, transaction in (("C0000012345", "durban-0001"),
                                  ("C0000000789", "gift-cards-0001")):  # fmt: skip
        (held,) = holds.wait(lambda h, t=transaction: h["transaction_id"] == t)
        assert held["action"] == "hold"
        told = notices.wait(lambda n, t=transaction: n["cause"] == t, 2)
        assert {(n["kind"], n["recipient"]) for n in told} == {
            ("sms", f"customer:{customer}"), ("alert", "team:fraud")}  # fmt: skip
    assert not [n for n in notices.seen if n["cause"].startswith(("cape", "grocer"))]

    wait_for_cases(shop, {"durban-0001", "gift-cards-0001"})
    assert "new_card" in shop.run("fraud", "show", "durban-0001")
    shop.run("notify", "run", "--until-idle", "2")
    sent = Path(conf.notify.file or "").read_text().splitlines()
    assert len(sent) == len({json.loads(line)["notice_id"] for line in sent}) == 4
    why = explained(shop, "durban-0001")
    assert why["decision"]["outcome"] == "hold"
    assert why["decision"]["profile"]["sales"] == 20
    assert why["transaction"]["store"] == 156
    fired = {rule["code"] for rule in why["rules"] if rule["points"]}
    assert {"amount_far_above_usual", "new_card", "unusual_hour"} <= fired
    assert {notice["state"] for notice in why["notices"]} == {"sent"}
    assert "amount_far_above_usual" in shop.run("explain", "durban-0001")
    assert "Traceback" not in shop.run("explain", "cape-town-0001", fails=True)

    shop.run("fraud", "release", "durban-0001")
    shop.run("fraud", "confirm", "gift-cards-0001")
    assert "overrules" in shop.run("fraud", "release", "gift-cards-0001", fails=True)
    ends = holds.wait(lambda h: h["action"] != "hold", 2)
    assert {(h["transaction_id"], h["action"]) for h in ends} == {
        ("durban-0001", "release"), ("gift-cards-0001", "decline")}  # fmt: skip
    assert "0 open" in shop.run("fraud", "cases")
    # The account is watched: what would have been nothing is looked at.
    tills.send([sale("grocer-9001", today_ms() + HOUR_MS // 2, 250_000, customer_id="C0000000789",
                     card_token="tok_b2c3d4e5f6g7h8i9")])  # fmt: skip
    notices.wait(lambda n: n["cause"] == "grocer-9001")
    why = explained(shop, "grocer-9001")
    assert why["decision"]["watched"]
    assert why["decision"]["signals"]["subject.frauds"] == 1


class Load:
    """Honest sales at ``rate`` a second for as long as the block takes, each of another customer with
    another card, so that no rule of the packaged set holds them. sent: the ids of those sent."""

    def __init__(self, tills: Tills, rate: float) -> None:
        self.sent: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=tills.send, args=(self._sales(), rate))

    def _sales(self) -> Iterator[dict]:
        now = time.time_ns() // 1_000_000
        for n in itertools.count():
            if self._over.is_set():
                return
            self.sent.append(f"load-{n:06d}")
            letters = "".join("abcdefghij"[int(digit)] for digit in f"{n:016d}")
            yield sale(
                self.sent[-1], now + n, 30_000 + n % 500, customer_id=f"C9{n:09d}",
                card_token=f"tok_{letters}", till=n % 90 + 1, store=n % 2_000 + 1,
            )  # fmt: skip

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_rules_pushed_under_load_and_kept_in_a_savepoint(open_shop, tmp_path):
    shop = open_shop("rules", audit="all")
    conf = shop.conf()
    shop.submit("fraud", parallelism=2)
    tills = Tills(conf)
    tills.send(evenings("C0000012345", "cape-town", 30_000, 50_000))
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps(rule_set("first")))
    assert "first is in force" in shop.run("rules", "push", str(file), "--by", "tester")

    def judges(version: str) -> None:
        wait_for(
            partial(used, audit), 60, f"a sale judged by {version}", lambda found: version in found
        )

    audit = audit_of(shop)
    versions = ["first"]
    with Load(tills, 100) as feed:
        judges("first")
        for n in range(5):
            # Every rule of a set carries the set's number: a mixture of two would show.
            rules = [
                {"code": f"r{n}_{i}", "signal": "amount.cents", "threshold": 0, "weight": n + 1}
                for i in range(20)
            ]
            changes = {"review_at": 900, "hold_at": 1_000, "rules": rules}
            raw = json.dumps(rule_set(f"set-{n}", **changes)).encode()
            said = rule_sets.push(conf, "live", f"set-{n}", raw, "tester", 60)
            assert said.live, said
            versions.append(f"set-{n}")
            refused = rule_sets.push(conf, "live", "bad", b'{"schema":1}', "tester", 60)
            assert "missing required field" in refused.problem
            judges(f"set-{n}")
    load = feed.sent
    rows = wait_for_audit(shop, len(load) + 20)
    assert Counter(row["transaction_id"] for row in rows) == Counter(
        load + [f"cape-town-{n:04d}" for n in range(20)]
    )
    for row in rows:
        version, decision = row["rules_version"], json.loads(row["decision"])
        if version.startswith("set-"):
            n = int(version[4:])
            assert {r["code"] for r in decision["reasons"]} == {f"r{n}_{i}" for i in range(20)}
            assert row["score"] == 20 * (n + 1)
    assert set(versions) <= {row["rules_version"] for row in rows}
    listed = shop.run("rules", "list")
    assert "refused" in listed
    assert "superseded" in listed

    # One who is watched, a profile and the rules go through a savepoint.
    file.write_text(json.dumps(rule_set("kept")))
    shop.run("rules", "push", str(file))
    assert "no difference" in shop.run("rules", "diff", "live", str(file))
    tills.send([sale("durban-0002", today_ms(), 400_000, store=156, till=2, card_token=NEW_CARD)])
    wait_for_audit(shop, len(load) + 21)
    why = explained(shop, "durban-0002")
    assert why["decision"]["rules_version"] == "kept"
    assert len(why["rules"]) == len(packaged_rules().rules.ready)  # read from the topic
    shop.run("job", "stop", "fraud", "--savepoint")
    shop.run("job", "restore", "fraud", "--from", "latest-savepoint", "--parallelism", "1")
    tills.send([sale("after-0001", today_ms() + HOUR_MS // 4, 40_000)])
    rows = wait_for_audit(shop, len(load) + 22)
    (after,) = (row for row in rows if row["transaction_id"] == "after-0001")
    assert (after["rules_version"], after["watched"]) == ("kept", True)
    assert json.loads(after["decision"])["profile"]["sales"] == 20  # what is held is not learnt


REAL = "card_fraud_2018-04_to_07.parquet"


def real_data() -> Path | None:
    named = os.environ.get("TILLSTREAM_DATA")
    places = [Path(named)] if named else [
        parent / "shared" / "data" for parent in Path(__file__).resolve().parents]  # fmt: skip
    return next((place / REAL for place in places if (place / REAL).exists()), None)


@pytest.mark.skipif(real_data() is None, reason=f"no {REAL}: set TILLSTREAM_DATA to its folder")
def test_two_days_of_real_transactions_are_judged_as_the_pure_rules_judge_them(open_shop, stack):
    # One partition: the order in which a till's transactions are read is then the order of sending.
    broker = AdminClient({"bootstrap.servers": stack.conf().kafka.bootstrap})
    ways = [NewTopic(name, 1, 1) for name in ("till-fraud-real", "fraud-real-transactions")]
    for made in broker.create_topics(ways).values():
        made.result(20)
    shop = open_shop("real", audit="all")
    conf = shop.conf()
    days = [[], []]
    frauds = []
    for sold, day, fraud in real_sales(2):
        days[day].append(sold)
        if fraud and not day:
            frauds.append(sold)
    shop.submit("fraud", parallelism=1)
    tills, labels = Tills(conf), Tills(conf, conf.topic(topics.FRAUD_LABELS))
    pure = PureJob(packaged_rules(packaged_clocks(), packaged_rates()).rules)
    expected = {}

    def pure_day(sales: list[dict]) -> None:
        for sold in sales:
            decision = pure.sale(made_of(checked(sold)), arrived[sold["transaction_id"]])
            assert decision is not None
            expected[sold["transaction_id"]] = decision

    tills.send(days[0])
    wait_for_audit(shop, len(days[0]))
    verdicts = [
        Label(s["transaction_id"], True, s["event_time_ms"], s["event_time_ms"] + 7 * DAY_MS,
              s["store"], s["till"], s["customer_id"], s["card_token"], "chargeback")
        for s in frauds
    ]  # fmt: skip
    labels.send([msgspec.to_builtins(v) for v in verdicts])
    cases = clients.dynamodb(conf)
    table = conf.table(tables.FRAUD_CASES)

    def closed() -> int:
        found = cases.scan(TableName=table, ConsistentRead=True)["Items"]
        return sum(item["status"]["S"] == "confirmed" for item in found)

    wait_for(closed, 60, f"{len(verdicts)} closed cases", len(verdicts).__le__)
    tills.send(days[1])
    rows = wait_for_audit(shop, len(days[0]) + len(days[1]))
    arrived = {row["transaction_id"]: json.loads(row["decision"])["judged_at_ms"] for row in rows}
    pure_day(days[0])
    for verdict in verdicts:
        pure.verdict(verdict)
    pure_day(days[1])
    assert len(rows) == len(expected)
    for row in rows:
        wanted = expected[row["transaction_id"]]
        assert json.loads(row["decision"]) == json.loads(msgspec.json.encode(wanted))


def test_two_hundred_returns_at_one_till_are_a_case_that_people_close(open_shop):
    shop = open_shop("staff")
    shop.submit("fraud", parallelism=1)
    began = int(time.time() * 1000) - 100 * 60_000
    Tills(shop.conf()).send(
        [refund(f"staff-r{n:03d}", f"staff-s{n:03d}", event_time_ms=began + n * 30_000, store=23,
                cents=200_000) for n in range(200)]
    )  # fmt: skip

    def cases() -> list[dict]:
        lines = shop.run("fraud", "staff", "--json").splitlines()
        return [json.loads(line) for line in lines]

    found = wait_for(cases, 90, "a case about staff", every_s=2)
    case = next(one for one in found if one["code"] == "returns")  # two if midnight lies between
    assert (case["store"], case["status"]) == (23, "open")
    assert case["case_id"] in shop.run("fraud", "staff")
    shop.run("fraud", "staff", "close", case["case_id"], "--by", "a test", "--note", "a recall")
    assert case["case_id"] not in {one["case_id"] for one in cases()}
    said = shop.run(
        "fraud", "staff", "close", case["case_id"], "--by", "b", "--note", "n", fails=True
    )
    assert "closed by a test" in said
    assert "0 open" in shop.run("fraud", "cases")


def real_sales(count: int) -> Iterator[tuple[dict, int, bool]]:
    """(sale, day, fraud) of the first days of the real data, in order; a terminal is a till."""
    path = real_data()
    assert path is not None
    table = pq.read_table(path)
    first = None
    for row in table.sort_by("event_time").to_pylist():
        at_ms = int(row["event_time"].timestamp() * 1000)
        first = at_ms if first is None else first
        day = at_ms // DAY_MS - first // DAY_MS
        if day >= count:
            return
        terminal = int(row["terminal_id"])
        letters = "".join("abcdefghij"[int(d)] for d in f"{int(row['customer_id']):06d}")
        yield (
            sale(
                f"real-{int(row['transaction_id']):08d}", at_ms,
                max(round(float(row["amount"]) * 100), 1),
                customer_id=f"C{int(row['customer_id']):010d}", card_token=f"tok_{letters * 3}",
                store=terminal % 2_900 + 1, till=terminal // 2_900 + 1,
            ),
            day,
            bool(row["is_fraud"]),
        )  # fmt: skip
