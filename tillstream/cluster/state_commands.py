"""tillstream state report."""

from __future__ import annotations

import json
import sys

import click
from rich import box
from rich.console import Console
from rich.table import Table

from tillstream import conf as settings
from tillstream.cli.sizes import human
from tillstream.cluster.opening import open_cluster
from tillstream.cluster.protocol import JobError
from tillstream.cluster.state_report import Report, SavepointError, StateSize, report


@click.group()
def state() -> None:
    """What jobs keep, and what it takes."""


@state.command("report")
@click.option(
    "--savepoint", required=True, metavar="PATH|JOB",
    help="A savepoint's folder, or a job's name for its latest savepoint on the local stack.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Figures for a program; bytes everywhere.")
def report_command(savepoint: str, as_json: bool) -> None:
    """Bytes a key by job and operator, and all of it at full size.

    Full size is what state_schemas/keyed/states.py says: 40 M customers, 5 M transactions a day. The mean of
    this savepoint is multiplied; a savepoint of a quiet day says little about customers of a busy year.
    """
    try:
        location = savepoint
        if "/" not in savepoint and not savepoint.startswith("file:"):
            location = open_cluster(settings.load()).locate(savepoint, "latest-savepoint")
        found = report(location)
    except (SavepointError, JobError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(_plain(found), indent=1))
    else:
        _show(found)


def _plain(found: Report) -> dict:
    rows = [s._asdict() | {"bytes_a_key": round(s.bytes_a_key, 1)} for s in found.states]
    return found._asdict() | {"states": rows}


def _show(found: Report) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=130)
    table = Table("job", "operator", "state", box=box.SIMPLE)
    for column in ("keys", "bytes a key", "value p50/p99/max", "versions", "at full size"):
        table.add_column(column, justify="right", no_wrap=True)
    for size in found.states:
        table.add_row(
            size.job, size.uid, size.name, f"{size.keys:,}", f"{size.bytes_a_key:,.0f}",
            f"{size.value_p50}/{size.value_p99}/{size.value_max}",
            " ".join(f"v{version}: {count:,}" for version, count in size.versions.items()) or "-",
            _full(size),
        )  # fmt: skip
    console.print(table)
    click.echo(
        f"besides: {human(found.positions)} of source positions and sinks' own state; "
        f"maximum parallelism {found.max_parallelism}"
    )
    for size in found.states:
        if size.full_keys is None:
            click.echo(f"{size.name} of {size.uid} is not in state_schemas/keyed/states.py")


def _full(size: StateSize) -> str:
    if size.projected is None:
        return "-"
    return f"{human(size.projected)} of {(size.full_keys or 0) / 1e6:.1f} M"
