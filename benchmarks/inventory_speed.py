"""Speed of the inventory job, in one run on one machine.

``python benchmarks/inventory_speed.py`` starts a stack of its own, fills Kafka topics with transactions
of three lines, and measures

- every line moving stock, with all the rules, on one TaskManager of one slot and on two: entries and
  actions are made and dropped in the JVM, so that no stand-in is measured;
- the same where one product (bread) is in every basket and one store has 100 times the others' traffic;
- the job with all its real sinks, where the stand-in for DynamoDB sets the pace;
- bytes of state for each product and store: of the checkpoint, and of the codec by number of lines.

Rates are taken in mid-run, warm-up and drain excluded; CPU is the TaskManagers' in the same interval.
The stack's data lies in memory (/dev/shm) unless --disk says otherwise. Results: a table, and JSON with
--json FILE.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson

from benchmarks import output
from benchmarks.in_python import sale
from benchmarks.rig import CHECKED, Put, Rig, on_stack
from tillstream.domain.stock.inventory import InventoryRules, on_line
from tillstream.domain.stock.ledger import HOUR_MS, Line
from tillstream.domain.stock.network import NOBODY
from tillstream.sim.world import load_products, load_stores
from tillstream.state_schemas.keyed import stock as codec

LINES = 3
EVENT_RATE = 300  # transactions a second of event time: 1,000 busy stores


def transactions(count: int, stores: int, hot: bool) -> Iterator[tuple[str, bytes]]:
    """(key, bytes) of sales of three lines; ``hot``: bread first, store 1 with 100 times the traffic."""
    rng = Random(7)
    places, products = load_stores()[:stores], load_products()
    start_ms = (int(time.time()) - 86_400) * 1000
    share = 100 / (100 + stores - 1) if hot else 0.0
    for n in range(count):
        place = places[0] if rng.random() < share else places[rng.randrange(stores)]
        chosen = [products[rng.randrange(len(products))] for _ in range(LINES)]
        if hot:
            chosen[0] = products[0]
        lines = [
            {"product": p.gtin, "quantity": 1 + (rng.random() < 0.3),
             "unit_price_cents": p.unit_price_cents, "category": p.category}
            for p in chosen
        ]  # fmt: skip
        number = f"{place.number:04d}-{rng.randrange(1, 13):02d}-bench-{n:08d}"
        at_ms = start_ms + n * 1000 // EVENT_RATE
        of_place = {"region": place.region, "currency": place.currency}
        yield number, sale(number, place.number, at_ms, lines, **of_place)


def fill(bench: Rig, topic: str, count: int, stores: int, hot: bool) -> int:
    """How many shelves are sold from."""
    shelves: set[tuple[int, str]] = set()

    def noted() -> Iterator[tuple[str, bytes]]:
        for key, raw in transactions(count, stores, hot):
            sold = orjson.loads(raw)
            shelves.update((sold["store"], line["product"]) for line in sold["lines"])
            yield key, raw

    bench.fill(topic, noted(), (CHECKED,))
    return len(shelves)


def job(
    bench: Rig, topic: str, count: int, shelves: int, parallelism: int, sinks: str = "none",
    limit_s: float = 120,
) -> dict[str, Any]:  # fmt: skip
    """Rate of transactions in mid-run; bytes of state once most lines are in a checkpoint."""
    total, each = Put(count, count * LINES).read_by("inventory")

    def state_bytes(job_id: str) -> dict[str, float]:
        time.sleep(12)
        latest = bench.jobs.checkpoints(job_id).last
        return {"state_bytes": latest.state_bytes / shelves if latest else 0.0}

    return bench.rate(
        "inventory", topic, parallelism, sinks=sinks, total=total, each=each,
        apart=sinks != "none", after=state_bytes, limit_s=limit_s,
    )  # fmt: skip


def codec_bytes() -> dict[str, int]:
    """Bytes of one state by how many lines the horizon holds."""
    out = {}
    for lines in (0, 10, 50, 200, 1000):
        stock, rules = None, InventoryRules()
        start = 1_764_000_000_000
        gap = 72 * HOUR_MS // max(lines, 1)
        for n in range(-1, lines):
            kind, quantity = ("count", 500) if n < 0 else ("sale", -1)
            line = Line(kind, f"x{n}/1", 45, "2000000000411", quantity, start + n * gap)
            stock, _, _ = on_line(stock, line, NOBODY, rules)
        out[str(lines)] = len(codec.encode(stock))
    return out


def measure(bench: Rig, args: argparse.Namespace) -> dict[str, Any]:
    count = args.count
    spread = "spread", count, fill(bench, "spread", count, args.stores, hot=False)
    hot = "hot", count, fill(bench, "hot", count, 2_900, hot=True)
    rows = {
        "1 TaskManager": job(bench, *spread, 1),
        "2 TaskManagers": job(bench, *spread, 2),
        "hot bread and store, 1 TaskManager": job(bench, *hot, 1),
        "hot bread and store, 2 TaskManagers": job(bench, *hot, 2),
        "all sinks, 1 TaskManager": job(bench, *spread, 1, "all", limit_s=60),
    }
    return {
        **output.about(), "count": args.count, "rows": rows, "codec_bytes_by_lines": codec_bytes(),
    }  # fmt: skip


def show(figures: dict[str, Any]) -> None:
    output.rates(
        f"inventory, {figures['count']:,} transactions of {LINES} lines, {figures['machine']}",
        figures["rows"],
        "checkpoint bytes a shelf",
        lambda row: f"{row['state_bytes']:,.0f}",
    )
    sizes = ", ".join(f"{n} lines {size} B" for n, size in figures["codec_bytes_by_lines"].items())
    output.tell(f"state of a shelf by lines in 72 h: {sizes}")


def main() -> None:
    parser = output.arguments(__doc__, disk=False)
    parser.add_argument("--count", type=int, default=400_000, help="transactions in each topic")
    parser.add_argument("--stores", type=int, default=300, help="stores of the even traffic")
    parser.add_argument("--disk", action="store_true", help="keep the stack's data on disk")
    args = parser.parse_args()
    args.disk = None if args.disk else output.memory()
    on_stack(args, measure, show)


if __name__ == "__main__":
    main()
