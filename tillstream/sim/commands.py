"""``tillstream sim``: send simulated till transactions to Kinesis, Kafka or a file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tillstream import conf as settings
from tillstream.catalog import topics
from tillstream.cli import tables
from tillstream.cli.numbers import Finite
from tillstream.cli.stopping import stop_on_signal
from tillstream.cluster.submissions import read_by_the_door
from tillstream.conf import Conf
from tillstream.errors import Problem
from tillstream.sim.households import WithHouseholds
from tillstream.sim.runner import run
from tillstream.sim.senders import (
    HOUSEHOLDS,
    MOVEMENTS,
    TILLS,
    FileSender,
    KafkaSender,
    Sender,
    SendError,
    read_spool,
)
from tillstream.sim.simulator import CONTRACTS, Faults, Sent, Simulator
from tillstream.sim.stock import WithStock
from tillstream.sim.truth import TruthWriter
from tillstream.sim.world import load_profile, profile_names

SHARE = Finite(0, 1)
OF_STREAM = {MOVEMENTS: topics.STOCK_MOVEMENTS, HOUSEHOLDS: topics.HOUSEHOLDS}
SETTLE_SECONDS = (
    10.0  # an event that comes after a sale of its member leaves that sale where it was posted
)


@click.command()
@click.option(
    "--to", type=click.Choice(["kinesis", "kafka", "file"]), default="kinesis", show_default=True
)
@click.option("--profile", type=click.Choice(profile_names()), default="normal", show_default=True)
@click.option(
    "--contract",
    type=click.Choice(CONTRACTS),
    default="v1",
    show_default=True,
    help="What tills send: v1 has pieces, prices and one tender; v2 is a whole receipt with weights, "
    "discounts, tax, returns; mixed: each store's tills one of them.",
)
@click.option(
    "--rate",
    type=Finite(min=0.01),
    help="Transactions per second; default: the profile's.",
)
@click.option(
    "--flat-out",
    is_flag=True,
    help="As fast as possible, with --count or --start; --rate then paces only event time.",
)
@click.option("--seconds", type=Finite(min=0.1), help="Stop after this many seconds.")
@click.option("--count", type=click.IntRange(1), help="Stop after this many records.")
@click.option("--seed", type=int, help="What is sent is the same for the same seed; default: any.")
@click.option(
    "--start", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="First event time, UTC."
)
@click.option("--customers", type=click.IntRange(1, 1_000_000), default=20_000, show_default=True)
@click.option("--duplicates", type=SHARE, default=0.0, help="Share of records sent a second time.")
@click.option(
    "--malformed", type=SHARE, default=0.0, help="Share of records broken in one of many ways."
)
@click.option("--fuzzed", type=SHARE, default=0.0, help="Share changed at random until unusable.")
@click.option("--late", type=SHARE, default=0.0, help="Share 5 minutes to 20 hours late.")
@click.option("--out-of-order", type=SHARE, default=0.0, help="Share sent after later ones.")
@click.option("--refunds", type=SHARE, help="Share of transactions; default: the profile's.")
@click.option("--voids", type=SHARE, help="Share of transactions; default: the profile's.")
@click.option(
    "--redemptions", type=SHARE, help="Share of customers' sales; default: the profile's."
)
@click.option("--stores", type=click.IntRange(1, 2900), help="Only the first N stores.")
@click.option("--products", type=click.IntRange(1, 500), help="Only the first N products.")
@click.option(
    "--movements",
    type=SHARE,
    default=0.0,
    help="Share of stock documents (after a first count of everything) beside --count, to Kafka; with "
    "--to file to movements.jsonl beside the truth, or in the home.",
)
@click.option(
    "--households",
    type=SHARE,
    default=0.0,
    help="Share of customers who joined a household before, two by two: events to Kafka, then 10 seconds "
    "for the running job; with --to file to households.jsonl.",
)
@click.option(
    "--truth", type=click.Path(path_type=Path), help="Write what was sent to this directory."
)
@click.option("--out", type=click.Path(path_type=Path), help="The file for --to file.")
@click.option(
    "--from-spool",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Send a spool file instead.",
)
def sim(
    to: str,
    profile: str,
    contract: str,
    flat_out: bool,
    seconds: float | None,
    count: int | None,
    seed: int | None,
    start: datetime | None,
    duplicates: float,
    malformed: float,
    fuzzed: float,
    late: float,
    out_of_order: float,
    stores: int | None,
    products: int | None,
    movements: float,
    households: float,
    truth: Path | None,
    out: Path | None,
    from_spool: Path | None,
    **traffic: Any,
) -> None:
    """Send simulated till transactions; the same seed, arguments and --start send the same bytes."""
    try:
        faults = Faults(duplicates, malformed, late, out_of_order, fuzzed)
    except ValueError as error:
        raise Problem(str(error)) from None
    records: Any
    if seed is None:  # Of its own: two runs of one seed give other sales the same ids.
        seed = time.time_ns() // 1_000_000 % 1_000_000
    streams = [name for name, of in ((MOVEMENTS, movements), (HOUSEHOLDS, households)) if of]
    paced = not flat_out and to != "file" and not from_spool
    if from_spool:
        streams = sorted({stream for _, _, stream in read_spool(from_spool)} - {TILLS})
        kept = read_spool(from_spool)
        records = (Sent("ok", key, raw, None, stream=stream) for key, raw, stream in kept)
    else:
        start_ms = int(start.replace(tzinfo=UTC).timestamp() * 1000) if start else None
        if not start and not paced and count:  # the last is of now
            per_s = traffic["rate"] or load_profile(profile).rate
            start_ms = int((time.time() - count / per_s) * 1000)
        records = tills = Simulator(
            profile,
            seed,
            count=count,
            start_ms=start_ms,
            faults=faults,
            stores=stores,
            products=products,
            contract=contract,
            **traffic,
        )
        if movements:
            records = WithStock(records, movements, stores, products)
        if households:
            records = WithHouseholds(records, tills, households)
    if to == "file" and not (out or truth):
        raise click.UsageError("--to file needs --out FILE or --truth DIR")
    if not (paced or start or count or from_spool):
        raise click.UsageError("event times would run ahead of the clock: give --count or --start")
    directory = truth or settings.home() / "sim"
    spool = directory / "spool.jsonl"
    if from_spool and from_spool.resolve() == spool.resolve():
        raise click.UsageError("move the spool file away first: what fails again is written there")
    note: dict[str, Any] = {"profile": profile, "seed": seed, "customers": traffic["customers"]}
    if not from_spool:
        note |= {"start_ms": records.start_ms, "rate": records.rate, "to": to, "contract": contract}
        tables.console(stderr=True).print(f"seed {seed}")
    pace = records.rate if paced else None
    try:
        sender = _sender(to, out or directory / "records.jsonl", spool, TILLS)
        sides = {one: _sender(to, directory / f"{one}.jsonl", spool, one) for one in streams}
        settle = 0 if to == "file" else SETTLE_SECONDS
        # After all senders: where there is a truth, all of its streams were there.
        writer = TruthWriter(truth, **note) if truth and not from_spool else None
        _send(records, sender, writer, pace, seconds, count, spool, sides, settle)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise SendError(
            f"{where}{error.strerror or error}: choose a place that can be read and written"
        ) from None


def _sender(to: str, out: Path, spool: Path, stream: str) -> Sender:
    """What tills do not send always goes to Kafka."""
    if to == "file":
        return FileSender(out, stream)
    conf = settings.load()
    if stream == TILLS:
        _warn_unread(conf, to)
    if to == "kafka" or stream != TILLS:
        topic = conf.topic(OF_STREAM[stream]) if stream != TILLS else None
        return KafkaSender(conf, spool, topic, stream)
    from tillstream.sim.kinesis_sender import KinesisSender  # boto3 is slow to import

    return KinesisSender(conf, spool)


def _warn_unread(conf: Conf, to: str) -> None:
    """Sending first and reading later is usual: no error."""
    reads = read_by_the_door(conf)
    kafka, kinesis = conf.source.kafka.topic, conf.source.kinesis.stream
    goes_to = f"kafka:{kafka}" if to == "kafka" else f"kinesis:{kinesis}"
    if reads and reads != goes_to:
        click.echo(
            f"note: intake was submitted to read {reads}, so nothing reads {goes_to}: --to "
            f"{reads.partition(':')[0]} sends where it reads",
            err=True,
        )


def _send(
    records: Iterator[Sent],
    sender: Sender,
    truth: TruthWriter | None,
    rate: float | None,
    seconds: float | None,
    count: int | None,
    spool: Path,
    sides: Mapping[str, Sender],
    settle: float,
) -> None:
    console = tables.console(stderr=True)
    columns = (TextColumn("sent"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # A signal sets a flag, for an exception in mid-record would leave the truth one off.
    with stop_on_signal() as stop, Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=count or (seconds and rate and int(seconds * rate)) or None)
        outcome = run(
            records,
            sender,
            truth,
            sides=sides,
            settle_seconds=settle,
            rate=rate,
            seconds=seconds,
            stop=stop,
            progress=lambda n: bar.update(task, completed=n),
        )
    speed = outcome.sent / outcome.seconds if outcome.seconds else 0
    ended = ", stopped early" if outcome.stopped else ""
    console.print(f"{outcome.sent:,} records in {outcome.seconds:.1f} s ({speed:,.0f}/s){ended}")
    if outcome.spooled:
        raise SendError(
            f"{outcome.spooled:,} records could not be sent and are kept in {spool}:"
            f" move the file and send it with `tillstream sim --from-spool FILE`"
        )
