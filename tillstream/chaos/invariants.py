"""What must hold after a run, whatever was broken in it; each function returns what is wrong."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tillstream.catalog import DOOR, tables
from tillstream.chaos.hands import Hands
from tillstream.chaos.rig import Rig
from tillstream.chaos.watch import SHOWN, Fallbacks, Watch
from tillstream.check.compare import check
from tillstream.check.platform import Platform
from tillstream.check.report import Report
from tillstream.check.sales import check_sales
from tillstream.check.stock import check_stock
from tillstream.clients.wait import NotInTime, wait_until
from tillstream.cluster.protocol import SourceFigures
from tillstream.errors import Problem

RECOVERY_S = 120.0  # from the end of the last fault until each job runs
EQUAL_S = 600.0  # and from then until all is equal, on a machine whose disk is slow
STEADY = 10  # looks, two seconds apart: the engine's figures are up to 10 s old
JUDGED_FROM_S = 1_800  # a shorter run says nothing of memory that grows
GROWTH = 1.25


class Finding(NamedTuple):
    """``wrong``: what is, first of all; none where it held. ``note``: what was compared."""

    what: str
    wrong: list[str]
    note: str = ""


def judge(rig: Rig, hands: Hands, watch: Watch) -> Iterator[Finding]:
    """One invariant after the other. The faults are over; the traffic may still come to its end."""
    unwell = rig.wait_until_well(RECOVERY_S)
    yield Finding(f"each job runs within {RECOVERY_S:.0f} s after the last fault",
                  [*hands.failed, *([unwell] if unwell else []), *rig.dead()], _restarts(rig))  # fmt: skip
    truth = rig.sent()
    jobs, in_order = rig.plan.jobs, _in_order(rig)
    # In every run: the front door's dead letters are of whatever else runs.
    yield _compared("balances, ledger, archive and dead letters equal the check", check(
        truth, rig.conf, "sent" if in_order else "ledger", wait_seconds=EQUAL_S,
        loyalty="loyalty" in jobs, archive="archive" in jobs,
    ))  # fmt: skip
    if "inventory" in jobs:
        report = check_stock(truth, rig.conf, wait_seconds=EQUAL_S)
        yield _compared("stock, orders and alerts equal the check", report)
    if "loyalty" in jobs:
        yield _notices(rig, truth, in_order)
    if "fraud" in jobs:
        yield _fraud(rig, truth)
    if "shortage" in jobs:
        yield _shortage(rig, bool(_sales_sent(truth)))
    if "sales" in jobs:
        yield _sales(rig, truth)
    yield fallbacks(watch.fallbacks, watch.looks, watch.problem)
    yield memory(watch.memory, rig.plan.seconds)


def _in_order(rig: Rig) -> bool:
    """Whether each customer's transactions come to the jobs in the order in which they were sent. Several
    subtasks of the front door, which share the work by transaction id, keep none between them."""
    widened = any(one.kind == "rescale" and one.target == DOOR for one in rig.plan.faults)
    return rig.plan.keeps_order and not rig.spooled and not widened


def _restarts(rig: Rig) -> str:
    try:
        return ", ".join(f"{job} restarted {len(rig.failures(job))} times" for job in rig.plan.jobs)
    except Problem as error:
        return error.message


def _compared(what: str, report: Report) -> Finding:
    wrong = [f"{one.where}: {one.subject}: {one.cause}" for one in report.differences]
    wrong += [f"{name}: {found:,}, must be {wanted:,}"
              for name, (wanted, found) in report.totals.items() if wanted != found]  # fmt: skip
    if report.count > len(report.differences):
        wrong.append(f"{report.count:,} differences in all")
    note = ", ".join(f"{wanted:,} {name}" for name, (wanted, _) in report.totals.items())
    return Finding(what, wrong, f"{report.sent:,} records sent; {note}")


def _notices(rig: Rig, truth: Path, in_order: bool) -> Finding:
    """Each notice once; what is uncertain is decided as a person would who sees the outbox."""
    # Those of one recipient go one after the other: thousands for the fraud team take long here.
    rig.run("notify", "run", "--until-idle", "8", timeout_s=1800)
    held = Platform(rig.conf)
    uncertain = [json.loads(line) for line in rig.run("notify", "list", "--json").splitlines()]
    for one in uncertain:
        sent = held.notices().outbox[one["notice_id"]]
        rig.run("notify", "dismiss" if sent else "resend", one["notice_id"], "--by", "chaos")
    note = f"{len(uncertain)} were uncertain"
    if in_order:  # else nobody can say which redemptions were granted
        report = check(truth, rig.conf, loyalty=False, dead_letters=False, archive=False,
                       notices=True, wait_seconds=60)  # fmt: skip
        found = _compared("each notice is sent once", report)
        return found._replace(note=f"{found.note}; {note}")
    outbox = held.notices().outbox
    return Finding("no notice is sent twice", more_than_once(outbox), note)


def more_than_once(counts: Counter[Any]) -> list[str]:
    return more_often(counts, Counter(counts.keys()))


def more_often(counts: Counter[Any], most: Counter[Any]) -> list[str]:
    """What is there more often than ``most`` says of it; what that does not know is left out."""
    found = [(what, count) for what, count in counts.items() if count > most[what] > 0]
    return [f"{what}: {count} times" for what, count in found[:SHOWN]]


def _fraud(rig: Rig, truth: Path) -> Finding:
    """Each sale is judged once for good, one row of it in the audit; one that was sent again after
    many others of its till may be judged again."""
    names = ["transaction_id", "mode"]
    sales = _sales_sent(truth)
    held = Platform(rig.conf)
    wrong: list[str] = []

    def equal() -> bool:
        rows = held.parquet(tables.FRAUD_AUDIT, names).to_pylist()
        judged = Counter(row["transaction_id"] for row in rows if row["mode"] == "live")
        wrong[:] = more_often(judged, sales)
        wrong.extend(
            f"{one} was never judged" for one in sorted(sales.keys() - judged.keys())[:SHOWN]
        )
        wrong.extend(
            f"{one} was never sent" for one in sorted(judged.keys() - sales.keys())[:SHOWN]
        )
        return not wrong

    _within(equal)
    return Finding("each sale is judged once", wrong, f"{len(sales):,} sales")


def _sales_sent(truth: Path) -> Counter[str]:
    """How often each was, of both contracts."""
    with (truth / "sent.jsonl").open() as file:
        records = (json.loads(line).get("record") for line in file)
        return Counter(one["transaction_id"] for one in records
                       if one and "transaction_id" in one and _is_sale(one))  # fmt: skip


def _is_sale(record: dict[str, Any]) -> bool:
    """Whether the fraud job judges it: somebody paid, or goods went out for goods of the same price."""
    if record.get("schema") != 2:
        return bool(record["kind"] == "sale")
    if record["kind"] != "retail" or record.get("training"):
        return False
    sold = any(line["kind"] == "sale" for line in record["lines"])
    return bool(record["total"] > 0 or (record["total"] == 0 and sold))


def _shortage(rig: Rig, sold: bool) -> Finding:
    """Where levels of stock are told some shelf runs out in any run; without them hardly one does."""
    held = Platform(rig.conf)
    rows: list[dict[str, Any]] = []

    def there() -> bool:
        rows[:] = held.parquet(tables.SHORTAGE_LINES, ["shelf", "version"]).to_pylist()
        return bool(rows)

    must = sold and "inventory" in rig.plan.jobs
    _within(there, EQUAL_S if must else 0)
    wrong = more_than_once(Counter((row["shelf"], row["version"]) for row in rows))
    if must and not rows:
        wrong.append("no shelf has a line")
    return Finding("no line of a shelf is there twice", wrong, f"{len(rows):,} lines")


def _sales(rig: Rig, truth: Path) -> Finding:
    """The job is drained: no later sale closes its windows."""
    what, run = "sums of sales equal what was sent", rig.jobs.running("sales")
    if run:
        try:  # a drain stops the source where it is, and what the front door has not written is not waiting
            for one in filter(None, (rig.jobs.running(DOOR), run)):
                wait_until_read(partial(rig.jobs.figures, one.job_id))
        except NotInTime as error:
            return Finding(what, [error.message])
        rig.jobs.stop("sales", drain=True)
    return _compared(what, check_sales(truth, rig.conf, wait_seconds=EQUAL_S))


def wait_until_read(
    figures: Callable[[], SourceFigures], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Until no record waits and none more is read; not each source knows what waits. Raises NotInTime."""
    seen: list[SourceFigures] = []

    def done() -> bool:
        seen.append(figures())
        last = seen[-STEADY:]
        steady = len(last) == STEADY and len({(one.state, one.read) for one in last}) == 1
        return steady and not any(one.waiting for one in last)

    wait_until(done, EQUAL_S, lambda: f"not all is read: {seen[-1]}", every_s=2.0, sleep=sleep)


def _within(condition: Callable[[], bool], timeout_s: float = EQUAL_S) -> None:
    with contextlib.suppress(NotInTime):  # what was wrong at the last look is wrong
        wait_until(condition, timeout_s, "", every_s=3.0)


def fallbacks(seen: Fallbacks, looks: int, problem: str = "") -> Finding:
    wrong = seen.found[:SHOWN]
    if not looks:
        wrong.append("no look at the hot items succeeded")
    if problem:
        wrong.append(f"looking ended: {problem}")
    note = f"{len(seen.newest):,} items in {looks} looks"
    return Finding("no hot item falls back to an older version", wrong, note)


def memory(seen: dict[str, list[tuple[int, int]]], seconds: int) -> Finding:
    """Grown from the middle of a long run to its end, in a process that was not started again meanwhile."""
    wrong, notes = [], []
    for name, sizes in seen.items():
        middle, last = sizes[len(sizes) // 2], sizes[-1]
        notes.append(f"{name} {sizes[0][1]} to {last[1]} MiB")
        if seconds >= JUDGED_FROM_S and middle[0] == last[0] and last[1] > GROWTH * middle[1]:
            wrong.append(f"{name} grew from {middle[1]} to {last[1]} MiB")
    return Finding("memory of each process is flat", wrong, ", ".join(notes))
