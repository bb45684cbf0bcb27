"""tillstream size."""

from __future__ import annotations

import json
from typing import Any

import click

from tillstream.cli import tables
from tillstream.cli.numbers import Finite
from tillstream.cli.sizes import human
from tillstream.cli.tables import Column, Table
from tillstream.sizing import model as sizes


@click.command()
@click.option("--tx-per-second", type=Finite(0, min_open=True), required=True,
              help="At the busiest time.")  # fmt: skip
@click.option("--customers", type=click.IntRange(1), required=True)
@click.option("--stores", type=click.IntRange(1), required=True)
@click.option("--products", type=click.IntRange(1), default=30_000, show_default=True,
              help="Products per store.")  # fmt: skip
@click.option("--tx-per-day", type=Finite(0, min_open=True),
              help="On average; default: each customer visits once in eight days.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Figures for a program, sizes in bytes.")
def size(
    tx_per_second: float, customers: int, stores: int, products: int, tx_per_day: float | None,
    as_json: bool,
) -> None:  # fmt: skip
    """What a shop's traffic takes on AWS: shards, KPUs, DynamoDB, state, monthly volume.

    From a cost model kept as data; all assumptions are printed with the result.
    """
    shop = sizes.Shop(tx_per_second, customers, stores, products, tx_per_day)
    model = sizes.load()
    found = sizes.size(shop, model)
    if as_json:
        jobs = [job._asdict() for job in found.jobs]
        plain = found._asdict() | {"jobs": jobs, "kpus": found.kpus, "assumed": model["assumed"]}
        click.echo(json.dumps(plain, indent=1))
    else:
        _show(shop, found, model)


def _show(shop: sizes.Shop, found: sizes.Size, model: dict[str, Any]) -> None:
    tables.say(
        f"{shop.tx_per_second:,.0f} tx/s at the busiest time, {shop.daily:,.0f} per day, "
        f"{shop.customers:,} customers, {shop.stores:,} stores of {shop.products:,} products\n"
    )
    tables.say(f"Kinesis: {found.shards} shards, read by intake alone")
    tables.say(
        f"Kafka topic transactions: {human(found.checked)} per second in at the busiest time, the same "
        "out for each job that reads it"
    )
    least = "at least " if any(job.get("at_least") for job in model["jobs"].values()) else ""
    tables.say(f"Managed Flink: {least}{found.kpus} KPUs")
    numbers = (
        Column(c, right=True) for c in ("us of CPU per tx", "cores", "workers", "KPUs", "state")
    )
    table = Table("job", *numbers, Column("the CPU figure is", prose=True))
    for job in found.jobs:
        table.add(
            job.job, f"{job.cpu_us:.0f}", f"{job.cores:.1f}", str(job.workers), str(job.kpus),
            human(job.state), job.basis,
        )  # fmt: skip
    tables.say("")
    tables.show(table)
    numbers = (Column(c, right=True) for c in ("write units per second, at most", "items"))
    table = Table("DynamoDB table", *numbers)
    for name, units in found.write_units.items():
        table.add(name, f"{units:,.0f}", human(found.items[name]))
    tables.say("")
    tables.show(table)
    tables.say("")
    tables.say("State: " + ", ".join(f"{name} {human(b)}" for name, b in found.state.items()))
    counts = {k: v for k, v in found.monthly.items() if k != "transactions"}
    tables.say(
        f"Per month: {found.monthly['transactions']:,.0f} transactions; "
        + ", ".join(f"{name} {human(b)}" for name, b in counts.items())
    )
    tables.say(f"\nModel: {model['about']}")
    tables.say("Assumed:")
    for assumption in model["assumed"].values():
        tables.say(f"- {assumption['says'].format(**assumption)}")
