"""The independent check: its own rules on cases worked by hand, and that it catches errors."""

from __future__ import annotations

import ast
import base64
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support import ROOT
from tests.support.sales import sale as sold
from tillstream import conf as settings
from tillstream.check import report
from tillstream.check.compare import LEDGER, check
from tillstream.check.held import said as said_by_check
from tillstream.check.rules import Sent, replay
from tillstream.check.sent import NoTruth, read_truth
from tillstream.domain.loyalty.held import parse_order
from tillstream.domain.transaction import InvalidTransaction

ALICE = "C0000000001"


def sale(identity: str, rand: int, points: int = 0) -> Sent:
    return Sent(identity, "sale", rand * 100, points, None)


def refund(identity: str, rand: int, of: str) -> Sent:
    return Sent(identity, "refund", rand * 100, 0, of)


def void(identity: str, rand: int, of: str) -> Sent:
    return Sent(identity, "void", rand * 100, 0, of)


def seen(*transactions: Sent) -> list[tuple[str, int, int]]:
    return [(s.outcome, s.delta, s.balance) for s in replay(transactions)]


def test_100_rand_earn_10_and_200_rand_earn_20_points() -> None:
    assert seen(sale("a", 100), sale("b", 200)) == [("posted", 10, 10), ("posted", 20, 30)]


def test_redeeming_25_of_30_leaves_5_and_what_is_paid_earns() -> None:
    # R2.50 is 25 points' worth: nothing is paid, nothing earned
    tiny = Sent("c", "sale", 250, 25, None)
    assert seen(sale("a", 100), sale("b", 200), tiny)[-1] == ("posted", -25, 5)


def test_redeeming_25_of_24_is_refused_wholly_and_the_full_total_earns() -> None:
    assert seen(sale("a", 240), sale("b", 100, 25)) == [
        ("posted", 24, 24),
        ("redemption_refused", 10, 34),
    ]


def test_redeeming_more_than_the_total_is_refused() -> None:
    assert seen(sale("a", 1000), sale("b", 1, 11))[-1] == ("redemption_refused", 0, 100)


def test_what_is_paid_after_redemption_earns() -> None:
    # R100 less 30 points (R3) is R97: 9 points
    assert seen(sale("a", 300), sale("b", 100, 30))[-1] == ("posted", 9 - 30, 9)


def test_void_takes_back_what_was_earned_and_returns_what_was_redeemed() -> None:
    steps = seen(sale("a", 300), sale("b", 100, 30), void("v", 100, "b"))
    assert steps[-1] == ("posted", 21, 30)


def test_refunds_in_parts_take_back_as_much_as_one_refund() -> None:
    parts = [refund("r", 33, "b"), refund("s", 33, "b"), refund("t", 34, "b")]
    history = [sale("a", 300), sale("b", 100, 30)]
    assert seen(*history, *parts)[-1][2] == 30
    assert seen(*history, *reversed(parts))[-1][2] == 30
    assert seen(*history, refund("r", 100, "b"))[-1][2] == 30


def test_refund_of_more_than_the_sale_gives_back_the_sale_alone() -> None:
    steps = seen(sale("a", 100), refund("r", 150, "a"), refund("s", 10, "a"))
    assert steps[1:] == [("posted", -10, 0), ("nothing_to_reverse", 0, 0)]


def test_refund_before_its_sale_waits_and_is_settled_after_it() -> None:
    steps = replay([refund("r", 100, "a"), sale("a", 100)])
    assert [(s.entry_id, s.outcome, s.delta, s.balance) for s in steps] == [
        ("r", "pending_original", 0, 0),
        ("a", "posted", 10, 10),
        ("r:settled", "settled", -10, 0),
    ]


def test_refund_of_points_already_spent_makes_the_balance_negative() -> None:
    steps = seen(sale("a", 100), Sent("b", "sale", 100, 10, None), void("v", 100, "a"))
    assert steps[-1] == ("posted", -10, -10)


def test_same_transaction_twice_has_the_effect_of_once() -> None:
    assert seen(sale("a", 100), sale("a", 100)) == [("posted", 10, 10)]
    assert len(seen(sale("a", 100), refund("r", 10, "a"), refund("r", 10, "a"))) == 2


def test_refund_of_a_refund_reverses_nothing() -> None:
    steps = seen(sale("a", 100), refund("r", 10, "a"), refund("s", 10, "r"))
    assert steps[-1] == ("nothing_to_reverse", 0, 9)


class Held:
    """A platform that holds exactly what it is given."""

    trimmed = False

    def __init__(self, sent: dict[str, list[Sent]], malformed: list[bytes] | None = None) -> None:
        self.told: list[dict[str, Any]] = []
        self.ordered: list[dict[str, Any]] = []
        self.beside: dict[str, int] = {}
        self.rows: list[dict[str, Any]] = []
        self.hot: dict[str, tuple[int, int]] = {}
        for customer, transactions in sent.items():
            for version, step in enumerate(replay(transactions), start=1):
                self.rows.append({"customer_id": customer, "version": version, **step._asdict()})
                self.hot[customer] = (step.balance, version)
        self.ids = list({tx.id for transactions in sent.values() for tx in transactions})
        self.letters = {str(n): ("not_json", raw) for n, raw in enumerate(malformed or [])}
        self.door = [
            {"transaction_id": tx.id, "total": tx.total if tx.kind == "sale" else -tx.total,
             "currency": tx.currency, "lines": []}
            for transactions in sent.values() for tx in transactions
        ]  # fmt: skip

    def balances(self) -> dict[str, tuple[int, int]]:
        return self.hot

    def ledger(self, columns: list[str]) -> pa.Table:
        return pa.table({c: [row[c] for row in self.rows] for c in LEDGER})

    def archive(self, columns: list[str]) -> pa.Table:
        return pa.table({"transaction_id": self.ids})

    def begins_later(self, topic: Any) -> bool:
        return self.trimmed

    def passed_on(self) -> list[dict[str, Any]]:
        return self.door

    def answers(self) -> list[dict[str, Any]]:
        return self.told

    def holds(self) -> list[dict[str, Any]]:
        return self.ordered

    def pending(self) -> dict[str, int]:
        return self.beside

    def dead_letters(self) -> dict[str, tuple[str, bytes]]:
        return self.letters


HISTORY = [sale("a0", 300), sale("b0", 100, 30), refund("r0", 50, "b0"), sale("b0", 100, 30)]
ANON = {"transaction_id": "anon", "total": 5_000, "currency": "ZAR", "lines": []}
BROKEN = [b"", b'{"card":4242', b'{"card":4343']


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    lines = [{"class": "ok", "record": _record(tx, ALICE)} for tx in HISTORY]
    lines += [{"class": "ok", "record": _record(sale("anon", 50), None)}]
    lines += [{"class": "malformed", "raw": base64.b64encode(raw).decode()} for raw in BROKEN]
    text = "".join(json.dumps({"n": n, "key": "k", **x}) + "\n" for n, x in enumerate(lines))
    (tmp_path / "sent.jsonl").write_text(text)
    return tmp_path


def _record(tx: Sent, customer: str | None) -> dict[str, Any]:
    fields = {
        "transaction_id": tx.id,
        "customer_id": customer,
        "kind": tx.kind,
        "total_cents": tx.total,
        "currency": tx.currency,
        "points_to_redeem": tx.points or None,
        "refers_to": tx.refers_to,
    }
    return {name: value for name, value in fields.items() if value is not None}


def held() -> Held:
    # card numbers in dead letters are masked
    platform = Held({ALICE: HISTORY}, [b"", b'{"card":****', b'{"card":4343'])
    platform.ids.append("anon")
    platform.door.append(ANON)
    return platform


def run(truth: Path, platform: Held, order: Any = "sent") -> report.Report:
    return check(truth, settings.load(), order, holdings=platform)


@pytest.mark.parametrize("order", ["sent", "ledger"])
def test_a_right_platform_passes(truth: Path, order: Any) -> None:
    report = run(truth, held(), order)
    assert report.ok, report.differences
    assert report.totals["sum of balances (ledger)"] == (replay(HISTORY)[-1].balance,) * 2
    assert report.totals["dead letters"] == (3, 3)
    assert report.totals["archived transactions"] == (4, 4)
    assert report.totals["transactions passed on"] == (4, 4)
    assert report.others["transactions passed on again"] == 1  # as a crash leaves it: no difference


def _wrong_delta(platform: Held) -> None:
    platform.rows[1]["delta"] += 1


def _stale_item(platform: Held) -> None:
    platform.hot[ALICE] = (30, 1)


def _no_item(platform: Held) -> None:
    del platform.hot[ALICE]


def _duplicate_counted(platform: Held) -> None:
    platform.rows.append({**platform.rows[-1], "version": 4})


def _row_twice(platform: Held) -> None:
    platform.rows.append(dict(platform.rows[-1]))


def _row_lost(platform: Held) -> None:
    del platform.rows[1]


def _never_sent(platform: Held) -> None:
    platform.rows[-1]["entry_id"] = "zz"


def _letter_lost(platform: Held) -> None:
    del platform.letters["1"]


def _valid_refused(platform: Held) -> None:
    platform.letters["x"] = ("beyond_horizon", b'{"transaction_id":"a0"}')


def _lost_at_the_door(platform: Held) -> None:
    platform.door.remove(ANON)


def _of_another_amount(platform: Held) -> None:
    platform.door[0] = platform.door[0] | {"total": 1}


def _archived_twice(platform: Held) -> None:
    platform.ids.append("a0")


def _not_archived(platform: Held) -> None:
    platform.ids.remove("anon")


@pytest.mark.parametrize("order", ["sent", "ledger"])
@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (_wrong_delta, "delta is"),
        (_stale_item, "stale"),
        (_no_item, "no item"),
        (_duplicate_counted, "too many"),
        (_row_twice, "too many"),
        (_row_lost, "is missing"),
        (_never_sent, "was never sent"),
        (_letter_lost, "has no dead letter"),
        (_valid_refused, "beyond_horizon"),
        (_lost_at_the_door, "not passed on"),
        (_of_another_amount, "1 ZAR of 0 lines was never sent"),
        (_archived_twice, "2 times"),
        (_not_archived, "not archived"),
    ],
)
def test_a_seeded_error_is_caught(truth: Path, damage: Any, cause: str, order: Any) -> None:
    platform = held()
    damage(platform)
    report = run(truth, platform, order)
    assert not report.ok
    assert any(cause in difference.cause for difference in report.differences), report.differences


def test_what_the_topic_no_longer_holds_is_not_missed(truth: Path) -> None:
    platform = held()
    platform.door.remove(ANON)
    platform.trimmed = True
    report = run(truth, platform)
    assert report.ok, report.differences
    assert report.others["transactions still in their topic"] == 3


def test_another_order_passes_only_by_the_ledgers_own(truth: Path) -> None:
    platform = Held({ALICE: [HISTORY[2], HISTORY[1], HISTORY[0]]}, BROKEN)
    platform.ids.append("anon")
    platform.door.append(ANON)
    assert not run(truth, platform, "sent").ok
    assert run(truth, platform, "ledger").ok


def test_an_unsent_entry_in_the_ledgers_own_order_is_caught(truth: Path) -> None:
    platform = held()
    platform.rows[0]["entry_id"] = "zz"
    assert not run(truth, platform, "ledger").ok


def test_what_other_runs_left_is_not_compared(truth: Path) -> None:
    platform = held()
    platform.rows.append({**platform.rows[0], "customer_id": "C9999999999"})
    platform.hot["C9999999999"] = (1, 1)
    platform.letters["other"] = ("not_json", b"x")
    report = run(truth, platform)
    assert report.ok
    assert report.others["ledger entries"] == report.others["customers"] == 1


def test_it_waits_until_the_sinks_have_caught_up(truth: Path, monkeypatch: Any) -> None:
    platform = held()
    late = platform.rows.pop()
    monkeypatch.setattr(report.time, "sleep", lambda _: platform.rows.append(late))
    found = check(truth, settings.load(), wait_seconds=30, holdings=platform)
    assert found.ok


def test_without_truth_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoTruth, match="sim --truth"):
        read_truth(tmp_path)


def test_it_shares_no_code_with_the_job() -> None:
    for path in (ROOT / "tillstream" / "check").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert not node.level
                names = [f"{node.module}.{a.name}" for a in node.names]
            for name in names:
                top = name.split(".")[0]
                assert top != "pyflink", name
                strangers = ("domain", "sim", "jobs", "udfs", "state_schemas")
                assert not name.startswith(tuple(f"tillstream.{s}" for s in strangers)), name


TWO = sold("00591-006-0018", till=4), sold("00591-006-0018", till=5, cents=245_000)


@pytest.fixture
def two_baskets(tmp_path: Path) -> Path:
    lines = [{"class": "ok", "record": record} for record in (*TWO, TWO[1])]
    (tmp_path / "sent.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


@pytest.mark.parametrize(
    ("letters", "cause"),
    [
        ([TWO[1], TWO[1]], None),
        ([TWO[0]], None),
        ([], "no id_conflict"),
        ([TWO[1], TWO[1] | {"region": "gauteng"}], "never sent"),
    ],
)
def test_of_two_sales_under_one_id_one_is_archived_and_the_other_told(two_baskets, letters, cause):
    platform = Held({})
    platform.ids = [TWO[0]["transaction_id"]]
    platform.letters = {
        str(n): ("id_conflict", json.dumps(one, indent=1).encode()) for n, one in enumerate(letters)
    }
    platform.door = [{"transaction_id": TWO[0]["transaction_id"], "total": TWO[0]["total_cents"],
                      "currency": "ZAR", "lines": [{}]}]  # fmt: skip
    report = check(two_baskets, settings.load(), loyalty=False, holdings=platform)
    assert report.ok == (cause is None), report.differences
    assert all(cause in difference.cause for difference in report.differences)


def test_that_an_id_was_taken_is_told_though_nothing_is_archived(two_baskets):
    platform = Held({})
    platform.door = [{"transaction_id": TWO[0]["transaction_id"], "total": TWO[0]["total_cents"],
                      "currency": "ZAR", "lines": [{}]}]  # fmt: skip
    report = check(two_baskets, settings.load(), loyalty=False, archive=False, holdings=platform)
    assert [one.cause for one in report.differences] == [
        "two sales under this id, and no id_conflict"
    ]


BOB = "C0000000002"
MINE, BOBS = sale("taken", 100), sale("taken", 500)


@pytest.mark.parametrize("refused", [(BOB, BOBS), (ALICE, MINE)], ids=["the second", "the first"])
def test_a_basket_under_an_id_that_was_taken_counts_for_nobody(tmp_path, refused):
    """The customers' records are in different partitions: either may come first to the front door."""
    lines = [(ALICE, MINE), (BOB, BOBS), (ALICE, sale("next", 100)), (BOB, BOBS)]
    text = (json.dumps({"class": "ok", "record": _record(tx, of)}) + "\n" for of, tx in lines)
    (tmp_path / "sent.jsonl").write_text("".join(text))
    left = [one for one in lines[:3] if one != refused]
    platform = Held({who: [tx for of, tx in left if of == who] for who in dict(left)})
    letter = json.dumps(_record(refused[1], refused[0])).encode()
    platform.letters = {"1": ("id_conflict", letter)}
    report = check(tmp_path, settings.load(), holdings=platform)
    assert report.ok, report.differences
    both = Held({who: [tx for of, tx in lines[:3] if of == who] for who in (ALICE, BOB)})
    both.letters = platform.letters
    assert not check(tmp_path, settings.load(), holdings=both).ok


@pytest.mark.parametrize("place", [1, 2])
def test_what_somebody_else_brings_back_is_the_owners_wherever_the_ledger_has_it(tmp_path, place):
    bought, more, back = sale("s", 100), sale("t", 200), refund("r", 100, "s")
    lines = [(ALICE, bought), ("C0000000002", back), (ALICE, more), (None, refund("q", 50, "t"))]
    text = (json.dumps({"class": "ok", "record": _record(tx, of)}) + "\n" for of, tx in lines)
    (tmp_path / "sent.jsonl").write_text("".join(text))
    claimed = [refund("q", 50, "t")._replace(claimed=True), back._replace(claimed=True)]
    of_alice = [bought, more]
    of_alice[place:place] = claimed
    platform = Held({ALICE: of_alice, "C0000000002": [back]})
    report = run(tmp_path, platform)
    assert report.ok, report.differences
    balance, version = platform.hot[ALICE]
    assert balance == 15
    platform.hot[ALICE] = (30, version)  # as if the owner had kept the points
    (wrong,) = run(tmp_path, platform).differences
    assert wrong.where == "hot table"


BEN = "C0000000002"
DESK = {"reason": "complaint", "by": "agent-17", "event_time_ms": 0, "schema": 1}


def adjusted(kind: str, identity: str, customer: str, **more: Any) -> dict[str, Any]:
    record = {"adjustment_id": identity, "kind": kind, "customer_id": customer, **DESK, **more}
    return {"class": "ok", "stream": "loyalty-adjustments", "record": record}


def test_goodwill_expiry_and_both_halves_of_a_transfer_are_recomputed(tmp_path):
    lines = [
        {"class": "ok", "record": _record(sale("s", 100), ALICE)},
        adjusted("goodwill", "g", ALICE, points=-3), adjusted("expiry", "e", ALICE, points=2),
        adjusted("transfer", "t", ALICE, to=BEN), adjusted("expiry", "f", ALICE, points=9),
        adjusted("transfer", "u", BEN, to=ALICE, points=6),
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in [*lines, lines[1]])
    (tmp_path / "sent.jsonl").write_text(text)
    platform = Held({ALICE: [sale("s", 100)]})
    wanted = [
        ("s", "sale", "posted", 10, 10, 10), ("#g", "goodwill", "posted", 0, -3, 7),
        ("#e", "expiry", "posted", 0, -2, 5), ("#t#out", "transfer_out", "posted", 0, -5, 0),
        ("#f", "expiry", "nothing_to_expire", 0, 0, 0),
    ]  # fmt: skip
    of_ann = [*wanted, ("#u#in", "transfer_in", "posted", 0, 0, 0)]
    of_ben = [
        ("#t#in", "transfer_in", "posted", 0, 5, 5),
        ("#u#out", "transfer_out", "transfer_refused", 0, 0, 5),
    ]
    platform.rows = [
        {"customer_id": customer, "version": version, "entry_id": entry, "kind": kind,
         "outcome": outcome, "earned": earned, "redeemed": 0, "delta": delta, "balance": balance}
        for customer, rows in ((ALICE, of_ann), (BEN, of_ben))
        for version, (entry, kind, outcome, earned, delta, balance) in enumerate(rows, start=1)
    ]  # fmt: skip
    del platform.rows[5]  # a transfer that is refused has no second half
    platform.hot = {ALICE: (0, 5), BEN: (5, 2)}
    found = run(tmp_path, platform)
    assert found.ok, found.differences
    assert found.totals["points adjusted"] == (-5, -5)
    platform.rows[5]["delta"] = platform.rows[5]["balance"] = 6  # a point made on the way
    assert [one.where for one in run(tmp_path, platform).differences] == ["ledger"]


HOME = "household:H1"


def joined(identity: str, kind: str, customer: str, at_ms: int, **more: Any) -> dict[str, Any]:
    record = {"event_id": identity, "kind": kind, "customer_id": customer, "household_id": "H1", **DESK,
              **more, "event_time_ms": at_ms}  # fmt: skip
    return {"class": "ok", "stream": "households", "record": record}


def test_a_households_points_are_its_members_together_and_a_sale_that_came_twice_counts_once(
    tmp_path,
):
    def at(at_ms: int, one: Sent, customer: str) -> dict[str, Any]:
        return {"class": "ok", "record": _record(one, customer) | {"event_time_ms": at_ms}}

    late = at(60, sale("l", 50), BEN)
    lines = [
        at(5, sale("s", 100), ALICE), joined("a", "join", ALICE, 10, points="all"),
        at(20, sale("t", 200), ALICE), late, joined("b", "join", BEN, 50, points="none"), late,
        joined("b", "join", BEN, 50, points="none"), at(70, refund("r", 200, "t"), BEN),
        joined("c", "leave", ALICE, 80, points=10), at(90, sale("u", 300), ALICE),
        at(15, sale("w", 40), ALICE), joined("d", "leave", "C0000000003", 80, points="all"),
    ]  # fmt: skip
    (tmp_path / "sent.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    moved_in, moved_out = "#household:a", "#household:c"
    entries = {
        ALICE: [("s", "sale", 10, 10), (f"{moved_in}#out", "transfer_out", 0, -10),
                ("u", "sale", 30, 30), (f"{moved_out}#in", "transfer_in", 0, 10)],
        BEN: [("l", "sale", 5, 5)],
        HOME: [("t", "sale", 20, 20), (f"{moved_in}#in", "transfer_in", 0, 10), ("l", "sale", 5, 5),
               ("l:elsewhere", "void", -5, -5), ("r", "refund", -20, -20), ("w", "sale", 4, 4),
               (f"{moved_out}#out", "transfer_out", 0, -10)],
    }  # fmt: skip
    mine = [sale("s", 100), sale("t", 200), sale("u", 300), sale("w", 40)]
    platform = Held({ALICE: mine, BEN: [sale("l", 50), refund("r", 200, "t")]})
    platform.rows = []
    for account, rows in entries.items():
        balance = 0
        for version, (entry, kind, earned, delta) in enumerate(rows, start=1):
            balance += delta
            platform.rows.append(
                {"customer_id": account, "version": version, "entry_id": entry, "kind": kind,
                 "outcome": "posted", "earned": earned, "redeemed": 0, "delta": delta, "balance": balance}
            )  # fmt: skip
        platform.hot[account] = (balance, len(rows))
    assert platform.hot == {ALICE: (40, 4), BEN: (5, 1), HOME: (4, 7)}
    found = run(tmp_path, platform)
    assert found.ok, found.differences
    rows = [row for row in platform.rows if row["entry_id"] != "u"]
    platform.rows = [*rows, {**platform.rows[2], "customer_id": HOME, "version": 8, "balance": 34}]
    assert not run(tmp_path, platform).ok  # what she bought after she had left is her own


def test_a_sale_gets_what_its_till_was_promised_and_another_may_be_refused_for_it(tmp_path):
    history = [sale("s", 1000), void("v", 1000, "s"), sale("t", 1000, 100)]
    lines = ({"class": "ok", "record": _record(tx, ALICE)} for tx in history)
    (tmp_path / "sent.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    platform = Held({ALICE: history})
    steps = replay(history, promised={"t": 100})
    assert [step.balance for step in steps] == [100, 0, -1]
    assert not replay(history)[-1].redeemed
    platform.rows = [
        {"customer_id": ALICE, "version": n, **step._asdict()} for n, step in enumerate(steps, start=1)
    ]  # fmt: skip
    platform.hot = {ALICE: (-1, 3)}
    assert not run(tmp_path, platform).ok
    platform.told = [
        {"outcome": "granted", "customer_id": ALICE, "transaction_id": "t", "points": 100}
    ]
    assert run(tmp_path, platform).ok


def ordered(action: str, of: str, at_ms: int, customer: str | None = ALICE) -> dict[str, Any]:
    return {"action": action, "transaction_id": of, "ordered_at_ms": at_ms, "customer_id": customer}


def word(kind: str, of: str, at_ms: int) -> Sent:
    return Sent(of, kind, 0, 0, None, at_ms=at_ms)


def following(*sent: Sent) -> Held:
    """A platform whose ledger is that of ``sent``."""
    platform, made = held(), Held({ALICE: list(sent)})
    platform.rows, platform.hot = made.rows, made.hot
    return platform


def test_points_of_held_sales_and_of_fraud_are_recomputed_from_what_fraud_said(truth: Path) -> None:
    told = [
        ordered("hold", "a0", 5),
        ordered("hold", "a0", 5),
        ordered("hold", "b0", 6),
        ordered("decline", "b0", 9),
        ordered("release", "b0", 8),
        ordered("hold", "anon", 7, None),
    ]
    a0, b0, r0, _ = HISTORY
    followed = [a0, word("held", "a0", 5), b0, word("held", "b0", 6), r0, word("fraud", "b0", 9)]
    platform = following(*followed)
    platform.ordered, platform.beside = told, {ALICE: 30}
    found = run(truth, platform)
    assert found.ok, found.differences
    assert found.totals["points pending (hot)"] == (30, 30)


def test_a_job_that_does_not_follow_fraud_is_found_out(truth: Path) -> None:
    platform = following(*HISTORY)
    platform.ordered = [ordered("hold", "a0", 5)]
    found = run(truth, platform)
    assert "1 entries missing, first a0:held:5 (posted)" in [one.cause for one in found.differences]
    platform = following(*HISTORY, word("held", "a0", 5))
    assert not run(truth, platform).ok  # nobody said so
    platform.ordered = [ordered("hold", "a0", 5), ordered("release", "a0", 9)]
    platform.beside = {ALICE: 30}
    causes = [one.cause for one in run(truth, platform).differences]
    assert "1 entries missing, first a0:released:9 (posted)" in causes


def test_what_the_topic_of_holds_no_longer_has_is_taken_from_the_ledger_and_each_step_checked(
    truth,
):
    platform = following(*HISTORY, word("held", "a0", 5))
    platform.beside, platform.trimmed = {ALICE: 30}, True
    found = run(truth, platform)
    assert found.ok, found.differences
    assert found.others["words of fraud that are no longer in their topic"] == 1
    platform.rows[-1]["delta"] = -20
    assert not run(truth, platform).ok


def test_a_word_that_was_refused_for_too_many_held_is_not_missed(truth):
    platform = following(*HISTORY)
    platform.ordered = [ordered("hold", "a0", 5)]
    platform.letters |= {"holds/0/1": ("too_many_held", json.dumps(platform.ordered[0]).encode())}
    found = run(truth, platform)
    assert found.ok, found.differences


def test_a_word_about_a_sale_that_counts_elsewhere_is_missed_in_one_account_alone(tmp_path):
    one = {"class": "ok", "record": _record(sale("l", 50), BEN) | {"event_time_ms": 60}}
    lines = [one, joined("b", "join", BEN, 50, points="none"), one]
    (tmp_path / "sent.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    held_there = [sale("l", 50), word("held", "l", 70)]
    platform = Held(
        {BEN: held_there, HOME: [sale("l", 50), Sent("l:elsewhere", "void", 0, 0, "l")]}
    )
    platform.door, platform.ids = platform.door[:1], ["l"]
    platform.ordered, platform.beside = [ordered("hold", "l", 70, BEN)], {BEN: 5}
    found = run(tmp_path, platform)
    assert found.ok, found.differences


def test_a_return_that_counts_elsewhere_and_came_as_a_claim_is_not_undone(tmp_path):
    def at(at_ms: int, one: Sent) -> dict[str, Any]:
        return {"class": "ok", "record": _record(one, ALICE) | {"event_time_ms": at_ms}}

    back = refund("r", 100, "x")
    lines = [
        at(5, sale("x", 100)), joined("a", "join", ALICE, 10, points="none"), at(20, back),
        joined("b", "leave", ALICE, 15),
    ]  # fmt: skip
    (tmp_path / "sent.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = Sent("r:elsewhere", "void", 0, 0, "r")
    bought = [sale("x", 100), back._replace(claimed=True), again]
    assert [step.balance for step in replay(bought)] == [10, 0, 0]
    platform = Held({ALICE: bought, HOME: [back]})
    platform.ids = ["x", "r"]
    platform.door = [one for one in platform.door if one["transaction_id"] in platform.ids]
    found = run(tmp_path, platform)
    assert found.ok, found.differences


GOOD = {"transaction_id": "sale-1", "action": "hold", "store": 1, "event_time_ms": 1_764_000_000_000,
        "ordered_at_ms": 1_764_000_000_500, "customer_id": ALICE, "currency": "ZAR", "total_cents": 100,
        "region": "gauteng"}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"action": "keep"}, {"transaction_id": None}, {"store": "1"}, {"ordered_at_ms": 5}, {"currency": "rand"},
     {"customer_id": ""}, {"total_cents": 1.5}, {"event_time_ms": True}, {"region": "x" * 65}],
    ids=repr,
)  # fmt: skip
def test_what_is_no_word_of_fraud_the_check_leaves_out_as_the_jobs_do(change):
    raw = json.dumps(GOOD | change).encode()
    assert said_by_check(raw, GOOD["ordered_at_ms"], 0) is None
    with pytest.raises(InvalidTransaction):
        parse_order(raw)


def test_a_word_ahead_of_its_arrival_a_tombstone_or_no_object_is_left_out_by_the_check():
    raw = json.dumps(GOOD).encode()
    assert said_by_check(raw, GOOD["ordered_at_ms"] - 300_000, 300_000) == GOOD
    assert said_by_check(raw, GOOD["ordered_at_ms"] - 300_001, 300_000) is None
    assert [said_by_check(one, 0, 0) for one in (b"", b"[]", b"null", b"{")] == [None] * 4
