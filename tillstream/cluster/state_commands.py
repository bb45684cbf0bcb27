"""tillstream state report."""

from __future__ import annotations

import json

import click

from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.cli.sizes import human
from tillstream.cli.tables import Column, Table
from tillstream.cluster.local import open_cluster
from tillstream.cluster.state_report import Report, StateSize, report


@click.group()
def state() -> None:
    """The state that jobs keep, and its size."""


@state.command("report")
@click.option(
    "--savepoint", required=True, metavar="PATH|JOB",
    help="A savepoint's folder, or a job's name for its latest savepoint on the local stack.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Figures for a program, sizes in bytes.")
def report_command(savepoint: str, as_json: bool) -> None:
    """Bytes per key by job and operator, and everything at full scale.

    Full scale is what state_schemas/keyed/states.py says: 40 M customers, 5 M transactions per day. The
    mean of this savepoint is multiplied; a quiet day's savepoint says little about a busy year.
    """
    location = savepoint
    if "/" not in savepoint and not savepoint.startswith("file:"):
        location = open_cluster(settings.load()).locate(savepoint, "latest-savepoint")
    found = report(location)
    if as_json:
        click.echo(json.dumps(_plain(found), indent=1))
    else:
        _show(found)


def _plain(found: Report) -> dict:
    rows = [s._asdict() | {"bytes_a_key": round(s.bytes_a_key, 1)} for s in found.states]
    return found._asdict() | {"states": rows}


def _show(found: Report) -> None:
    numbers = ("keys", "bytes per key", "value p50/p99/max", "versions", "at full scale")
    table = Table("job", "operator", "state", *(Column(name, right=True) for name in numbers))
    for size in found.states:
        table.add(
            size.job, size.uid, size.name, f"{size.keys:,}", f"{size.bytes_a_key:,.0f}",
            f"{size.value_p50}/{size.value_p99}/{size.value_max}",
            " ".join(f"v{version}: {count:,}" for version, count in size.versions.items()) or "-",
            _full(size),
        )  # fmt: skip
    tables.show(table)
    tables.say(
        f"in addition: {human(found.positions)} of source positions and sinks' own state; "
        f"maximum parallelism {found.max_parallelism}"
    )
    for size in found.states:
        if size.full_keys is None:
            tables.say(f"{size.name} of {size.uid} is not in state_schemas/keyed/states.py")


def _full(size: StateSize) -> str:
    if size.projected is None:
        return "-"
    return f"{human(size.projected)} of {(size.full_keys or 0) / 1e6:.1f} M"
