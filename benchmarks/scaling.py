"""How a job's cost grows with TaskManagers, customers and shards: measured, fitted, checked, kept.

``python benchmarks/scaling.py --job loyalty`` starts a stack and measures the job's CPU a transaction at
some points: 1, 2 and 4 TaskManagers (on a machine of fewer cores that shows the overhead, not the
speed), 1,000 to 1 million customers (30 to 300 stores for shortage), 1 to 20 partitions, which stand for
shards. It fits the terms of ``tillstream.sizing.model.features`` by least squares, and then compares what the
fit says with one more point that it was not fitted on. Some eight minutes a job. ``--model`` puts the fit
into what `tillstream size` reads.

A machine that others use too is slower in one minute than in the next, by half and more: so a bare loop of
orjson and a dict over some sales, the yardstick, is timed at each look, and a point's cost is told for a
machine on which the loop takes YARDSTICK_US. A point is measured over the same stretch of its topic as all
others, and that should last seconds: a fast job wants a larger ``--count``.

``--state`` measures nothing on a stack: bytes a key from the codecs, by how much a key remembers, and what
a record holds; a minute, and always into the model. ``--python JOB`` puts into the model what a job's Python
takes without an engine, for one that was not measured on a stack yet: a lower bound, which the model says.
``--from FILE...`` fits earlier --json again, all their points together.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks import bare, in_python, output
from benchmarks.fraud_speed import BY_STORE, STORES, of_job
from benchmarks.rig import STAGE, Put, Rig, names, rig, side, topic_of
from benchmarks.state_codec import account
from tillstream import conf as settings
from tillstream.domain.envelope import unseal
from tillstream.sizing import model as size
from tillstream.state_schemas.keyed import archived_mark, loyalty_account


class Point(NamedTuple):
    workers: int
    customers: int
    partitions: int
    stores: int = STORES  # where they are the keys

    @property
    def topic(self) -> str:
        return f"scale-{self.customers}-{self.partitions}-{self.stores}"


FITTED = (
    Point(1, 100_000, 4), Point(2, 100_000, 4), Point(4, 100_000, 4),
    Point(1, 1_000, 4), Point(1, 1_000_000, 4),
    Point(1, 100_000, 1), Point(2, 100_000, 20),
)  # fmt: skip
HELD_OUT = Point(2, 300_000, 8)
# Of shortage, whose state is a store's: stores in place of customers.
FITTED_BY_STORE = (
    Point(1, 100_000, 4), Point(2, 100_000, 4), Point(4, 100_000, 4),
    Point(1, 100_000, 4, 30), Point(1, 100_000, 4, 300),
    Point(1, 100_000, 1), Point(2, 100_000, 20),
)  # fmt: skip
HELD_OUT_BY_STORE = Point(2, 100_000, 8, 200)
# Customers are no key where stores are; where products are too, every line has a state of its own.
WITHOUT = {"shortage": ("tenfold",), "inventory": ("tenfold", "stores")}
# a transaction: on the machine of the runs of 2026-11-28 it moved between 3.1 and 5.3
YARDSTICK_US = 4.0
# A job's cost goes with this power of it, for not all of a job is as sensitive as a loop that fills a dict:
# 0.57 with a standard error of 0.10 over the 32 points of fraud, loyalty, archive and inventory of that day.
YARDSTICK_POWER = 0.6
STRETCH = 0.3  # of the topic is read before a point is measured; nine tenths are when it ends
VISITS = 365  # a customer's at most: of eight years, for there are no sales before 2015
ROUNDS = 15  # of a job's Python without an engine
WARMING = 2  # runs before the first that counts: every TaskManager's JVM compiles on its own


def measure(bench: Rig, job: str, count: int) -> list[dict[str, Any]]:
    """A row for each point, the held-out one last."""
    rows, filled, loop = [], {}, in_python.Traffic(2_000)
    points, last = FITTED, HELD_OUT
    if job == "shortage":
        points, last = FITTED_BY_STORE, HELD_OUT_BY_STORE
    widest = max(points, key=lambda point: point.workers)
    filled[widest.topic] = _fill(bench, job, widest, count)
    total, _ = filled[widest.topic].read_by(job)
    for _ in range(WARMING):
        bench.rate(job, widest.topic, widest.workers, total=total, limit_s=240)
    for point in (*points, last):
        if point.topic not in filled:
            filled[point.topic] = _fill(bench, job, point, count)
        total, each = filled[point.topic].read_by(job)
        yardstick: list[float] = []
        row = bench.rate(
            job, point.topic, point.workers, total=total, each=each, warm=STRETCH, warm_s=1e9,
            at_each=lambda seen=yardstick: seen.append(bare.add_us(loop.raw)),
        )  # fmt: skip
        row |= {
            "us": 1e6 / row["per_cpu_second"],
            "yardstick_us": statistics.median(yardstick),
        }
        output.say(f"{point}: {row['rate']:,.0f} tx/s, {row['us']:.1f} us of CPU a transaction, "
            f"yardstick {row['yardstick_us']:.2f}")  # fmt: skip
        rows.append({**point._asdict(), **row})
    return rows


def us_of(row: dict[str, Any]) -> float:
    """CPU a transaction as it would be where the yardstick takes YARDSTICK_US."""
    return float(row["us"] * (YARDSTICK_US / row["yardstick_us"]) ** YARDSTICK_POWER)


def _fill(bench: Rig, job: str, point: Point, count: int) -> Put:
    """The topic that the job reads is made first: the stack would give it four partitions."""
    conf = settings.load("local", names(point.topic))
    name = topic_of(conf, side(job))
    admin = AdminClient({"bootstrap.servers": conf.kafka.bootstrap or ""})
    admin.create_topics([NewTopic(name, point.partitions, 1)])[name].result(20)
    count = count if job in BY_STORE else min(count, point.customers * VISITS)
    traffic = of_job(job, count, point.customers, 1, point.stores)
    return bench.fill_sent(point.topic, traffic, (side(job),))


def fit(rows: list[dict[str, Any]], without: tuple[str, ...] = ()) -> dict[str, float]:
    """Coefficients of ``size.features``, least squares over all but the held-out rows.

    A term that comes out below nothing is left out and the rest fitted again: more workers, customers or
    shards make no transaction cheaper, and a law that says so tells of less than nothing somewhere beyond
    what was measured.
    """
    fitted = [row for row in rows if not held_out(_point(row))]
    wanted = [size.features(*_point(row)) for row in fitted]
    terms = [name for name in wanted[0] if name not in without]
    matrix = np.array([[found[name] for name in terms] for found in wanted])
    target = np.array([us_of(row) for row in fitted])
    solved, *_ = np.linalg.lstsq(matrix, target, rcond=None)
    found = dict(zip(terms, map(float, solved), strict=True))
    least = min(found, key=found.__getitem__)
    if found[least] < -0.0005:
        return fit(rows, (*without, least))
    return {name: round(max(value, 0.0), 3) for name, value in found.items()}


def check(rows: list[dict[str, Any]], coefficients: dict[str, float]) -> list[dict[str, Any]]:
    """What the fit says of each point, and by how much it is off the mean of what was measured there."""
    checked = []
    for point in dict.fromkeys(map(_point, rows)):
        us = statistics.mean(us_of(row) for row in rows if _point(row) == point)
        said = size.cpu_us({"cpu_us": coefficients}, *point)
        checked.append({**point._asdict(), "us": us, "fit_us": said, "off": said / us - 1,
                        "held_out": held_out(point)})  # fmt: skip
    return checked


def _point(row: dict[str, Any]) -> Point:
    return Point(*(row[name] for name in Point._fields))


def held_out(point: Point) -> bool:
    return point in (HELD_OUT, HELD_OUT_BY_STORE)


def into_model(job: str, figures: dict[str, Any], source: str) -> None:
    """Puts a job's fit into the model of `tillstream size`."""
    model = size.load()
    off = next(row["off"] for row in figures["check"] if row["held_out"])
    model["jobs"][job].pop("at_least", None)
    model["jobs"][job] |= {
        "cpu_us": figures["fit"],
        "basis": f"fitted {figures['date']} on {len(FITTED)} points; {off:+.0%} at the one held out",
        "source": source,
    }
    output.write(size.MODEL, model)


def python_into_model(job: str) -> dict[str, Any]:
    """Puts what the job's Python takes without an engine into the model, with the yardstick beside it."""
    traffic, conf, model = in_python.Traffic(4_000), settings.load("local"), size.load()
    rows = []
    with in_python.no_collections():
        for _ in range(ROUNDS):
            us = in_python.cost_us(in_python.JOBS[job](traffic, conf), traffic)
            rows.append(us_of({"us": us, "yardstick_us": bare.add_us(traffic.raw)}))
    about = output.about()
    model["jobs"][job] |= {
        "cpu_us": {"base": round(statistics.median(rows), 1)},
        "at_least": True,
        "basis": f"its Python alone, {about['date']}: a lower bound, for the JVM's part is not measured",
        "source": f"python benchmarks/scaling.py --python {job}",
    }
    output.write(size.MODEL, model)
    return {**about, "us": rows}


def state_into_model() -> dict[str, Any]:
    """Bytes a key by what is remembered, and what a record holds, from the codecs and simulator."""
    conf, model = settings.load("local"), size.load()
    traffic = {visits: in_python.Traffic(8_000, visits) for visits in (1.0, 4.0, 10.0, 40.0)}
    by_visits = {
        visits: {
            name: found["bytes_a_key"]
            for job in in_python.JOBS
            for name, found in in_python.state_bytes(made, conf, job).items()
        }
        for visits, made in traffic.items()
    }
    one, ten = (len(loyalty_account.encode(account(postings))) for postings in (1, 10))
    each = (ten - one) / 9
    model["state"]["loyalty-account"] |= {
        "per_remembered": round(each, 1), "base": round(one - each, 1),
    }  # fmt: skip
    for name in ("fraud-profile", "fraud-card"):
        model["state"][name]["base"] = round(by_visits[40.0][name], 1)
    model["state"]["fraud-till"]["base"] = float(in_python.busy_till_bytes())
    model["state"]["intake-mark"]["base"] = round(by_visits[40.0]["intake-mark"], 1)
    archived = archived_mark.CODEC.encode(archived_mark.Mark(b""))
    model["state"]["archived"]["base"] = float(len(archived))
    sales = traffic[10.0].sales
    model["record"] |= {
        "bytes": round(sum(map(len, traffic[10.0].raw)) / len(sales), 1),
        "checked_bytes": round(
            sum(len(unseal(one).raw) for one in traffic[10.0].sealed) / len(sales), 1
        ),
        "lines": round(sum(len(sale.lines) for sale in sales) / len(sales), 2),
        "with_customer": round(sum(s.customer_id is not None for s in sales) / len(sales), 3),
    }
    model["state_made"] = {**output.about(), "command": "python benchmarks/scaling.py --state"}
    output.write(size.MODEL, model)
    return {"by_visits": by_visits, "record": model["record"]}


def show(job: str, figures: dict[str, Any]) -> None:
    columns = ("TaskManagers", "customers", "stores", "partitions", "measured", "fit", "off", "")
    rows = [
        (
            str(row["workers"]), f"{row['customers']:,}",
            str(row["stores"]) if job in BY_STORE else "all", str(row["partitions"]),
            f"{row['us']:.1f}", f"{row['fit_us']:.1f}", f"{row['off']:+.0%}",
            "held out" if row["held_out"] else "",
        )
        for row in figures["check"]
    ]  # fmt: skip
    output.table(f"{job}: us of CPU a transaction, {figures['machine']}", columns, rows)
    terms = " + ".join(f"{value:g} {name}" for name, value in figures["fit"].items())
    output.tell(f"us = {terms}   (terms: tillstream/sizing/model.py)")


def main() -> None:
    parser = output.arguments(__doc__)
    parser.add_argument("--job", choices=list(STAGE))
    parser.add_argument("--count", type=int, default=300_000, help="transactions in each topic")
    parser.add_argument("--from", dest="earlier", type=Path, nargs="+", help="fit these again")
    parser.add_argument("--model", action="store_true", help="put the fit into the model")
    parser.add_argument("--state", action="store_true", help="only sizes, without a stack")
    parser.add_argument("--python", choices=list(in_python.JOBS), help="only this, without a stack")
    args = parser.parse_args()
    if args.state or args.python:
        found = python_into_model(args.python) if args.python else state_into_model()
        print(json.dumps(found, indent=1))
        return
    if not args.job:
        parser.error("--job is missing")
    if args.earlier:
        found = [json.loads(file.read_text()) for file in args.earlier]
        if {each["job"] for each in found} != {args.job}:
            parser.error(f"--from: not all are of {args.job}")
        figures = {**found[-1], "rows": [row for each in found for row in each["rows"]]}
    else:
        with rig(args.disk, taskmanagers=4) as bench:
            bench.conf(names("scale"))
            figures = {**output.about(), "job": args.job, "count": args.count, "yardstick_us": YARDSTICK_US,
                       "rows": measure(bench, args.job, args.count)}  # fmt: skip
    figures["fit"] = fit(figures["rows"], WITHOUT.get(args.job, ("stores",)))
    figures["check"] = check(figures["rows"], figures["fit"])
    show(args.job, figures)
    output.write(args.json, figures)
    if args.model:
        into_model(args.job, figures, str(args.json or "python benchmarks/scaling.py"))


if __name__ == "__main__":
    main()
