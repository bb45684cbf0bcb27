"""tillstream job submit, list, stop, restore, cancel."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import click
import yaml

from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import shown
from tillstream.cluster.jobs import JobError, Jobs


def overrides_of(pairs: tuple[str, ...]) -> dict[str, Any]:
    """source.kind=kafka -> {"source": {"kind": "kafka"}}; values are YAML."""
    out: dict[str, Any] = {}
    for pair in pairs:
        dotted, separator, value = pair.partition("=")
        if not separator:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE, e.g. source.kind=kafka")
        nested: Any = yaml.safe_load(value)
        for name in reversed(dotted.split(".")):
            nested = {name: nested}
        out = settings.merge(out, nested)
    return out


@click.group()
def job() -> None:
    """Submit, list, stop, restore, cancel jobs."""


def _submit(
    name: str, parallelism: int | None, pairs: tuple[str, ...], start: str | None, drop: bool
) -> None:
    began = time.monotonic()
    overrides = overrides_of(pairs)
    job_id = Jobs().submit(
        name, parallelism, overrides, start, progress=click.echo, allow_dropped_state=drop
    )
    click.echo(f"{name} runs: {job_id} ({time.monotonic() - began:.1f} s)")


_parallelism = click.option("--parallelism", type=click.IntRange(1), help="Instead of conf's.")
_conf = click.option("--conf", "pairs", multiple=True, metavar="KEY=VALUE", help="Over conf/.")
_drop = click.option(
    "--allow-dropped-state", is_flag=True, help="Restore even if an operator is gone."
)


@job.command()
@click.argument("name")
@_parallelism
@_conf
@click.option("--from", "start", metavar="SAVEPOINT|latest", help="Go on from there.")
@_drop
def submit(
    name: str,
    parallelism: int | None,
    pairs: tuple[str, ...],
    start: str | None,
    allow_dropped_state: bool,
) -> None:
    """Submit jobs/NAME.py and wait until it runs."""
    _submit(name, parallelism, pairs, start, allow_dropped_state)


@job.command()
@click.argument("name")
@_parallelism
@_conf
@click.option(
    "--from",
    "start",
    default="latest",
    show_default=True,
    metavar="latest|latest-checkpoint|latest-savepoint|PATH",
)
@_drop
def restore(
    name: str,
    parallelism: int | None,
    pairs: tuple[str, ...],
    start: str,
    allow_dropped_state: bool,
) -> None:
    """Submit jobs/NAME.py again from what it left behind."""
    _submit(name, parallelism, pairs, start, allow_dropped_state)


@job.command("list")
def list_jobs() -> None:
    """Jobs the cluster knows, and what each job can be restored from."""
    jobs = Jobs()
    flink = jobs.flink
    table = Table(
        "name", "state", "since", Column("restarts", right=True), Column("id", below=True)
    )
    found = sorted(flink.jobs(), key=lambda one: -one["start-time"])
    for one in found:
        failures = str(len(flink.exceptions(one["jid"])))
        table.add(one["name"], one["state"], shown(one["start-time"]), failures, one["jid"])
    if found:
        tables.show(table)
    else:
        click.echo("no jobs: `tillstream job submit NAME`")
    for name in sorted({entry["name"] for entry in jobs.history()}):
        with contextlib.suppress(JobError):
            tables.say(f"{name} can be restored from {jobs.locate(name, 'latest')}")


@job.command()
@click.argument("name_or_id", metavar="NAME|ID")
@click.option("--savepoint", is_flag=False, flag_value="", metavar="[DIR]", help="Where to put it.")
@click.option("--drain", is_flag=True, help="Fire all timers first: for a job that is over.")
def stop(name_or_id: str, savepoint: str | None, drain: bool) -> None:
    """Stop a job with a savepoint."""
    click.echo(f"stopped; savepoint {Jobs().stop(name_or_id, savepoint or None, drain)}")


@job.command()
@click.argument("name_or_id", metavar="NAME|ID")
def cancel(name_or_id: str) -> None:
    """End a job without a savepoint; its last checkpoint is kept."""
    click.echo(f"cancelled {Jobs().cancel(name_or_id)}")
