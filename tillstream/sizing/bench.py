"""tillstream bench."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.errors import Problem

JOBS = ("intake", "loyalty", "archive", "fraud", "inventory", "shortage")
PEERS = ("quixstreams", "bytewax", "pathway")


@click.command()
@click.option("--jobs", default=",".join(JOBS), show_default=True, metavar="NAMES")
@click.option("--count", type=click.IntRange(20_000), default=600_000, show_default=True,
              help="Transactions in the topic.")  # fmt: skip
@click.option("--repeats", type=click.IntRange(1, 20), default=2, show_default=True,
              help="Rounds over all rows; process mode only in the first.")  # fmt: skip
@click.option("--peers", is_flag=False, flag_value=",".join(PEERS), default="", metavar="NAMES",
              help="Also these engines, all without NAMES; installed from PyPI, each apart.")  # fmt: skip
@click.option("--no-process-mode", is_flag=True, help="Without PyFlink's default mode.")
@click.option("--no-latency", is_flag=True, help="Without latencies.")
@click.option("--latency-rate", type=click.IntRange(12), default=1_000, show_default=True,
              help="tx/s.")  # fmt: skip
@click.option("--json", "json_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Figures to FILE, - for standard output.")  # fmt: skip
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE.svg")
@click.option("--from", "from_file", metavar="FILE",
              type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Only show the figures of an earlier --json.")  # fmt: skip
def bench(
    jobs: str, count: int, repeats: int, peers: str, no_process_mode: bool, no_latency: bool,
    latency_rate: int, json_file: Path | None, picture: Path | None, from_file: Path | None,
) -> None:  # fmt: skip
    """Measure the jobs' speed on this machine, beside alternatives that could do its work.

    Starts a stack of its own with its data in memory, and takes it down again. A round takes about five
    minutes, a minute more with --peers; latencies take six. Run nothing else meanwhile.
    """
    table, view = _benchmarks()
    if from_file:
        figures = _earlier(from_file)
    else:
        chosen = table.Settings(
            jobs=_known(jobs, JOBS, "--jobs"), count=count, repeats=repeats,
            peers=_known(peers, PEERS, "--peers"), process_mode=not no_process_mode,
            latency=not no_latency, latency_rate=latency_rate,
        )  # fmt: skip
        try:
            figures = table.measure(chosen)
        except RuntimeError as error:
            raise Problem(str(error)) from None
    text = json.dumps(figures, indent=1)
    if json_file and str(json_file) != "-":
        json_file.write_text(text + "\n")
    if picture:
        picture.write_text(view.svg(figures))
    if json_file and str(json_file) == "-":
        click.echo(text)
    else:
        view.show(figures, tables.console())


def _earlier(file: Path) -> dict[str, Any]:
    try:
        figures: dict[str, Any] = json.loads(file.read_bytes())
        figures["topic"]["count"], figures["rows"]
    except (ValueError, KeyError, TypeError):
        raise Problem(f"{file}: no figures of `tillstream bench --json`") from None
    return figures


def _known(said: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    chosen = tuple(name.strip() for name in said.split(",") if name.strip())
    if unknown := [name for name in chosen if name not in known]:
        raise click.BadParameter(f"no {', '.join(unknown)}; there are {', '.join(known)}", None, None,
                                 option)  # fmt: skip
    return chosen


def _benchmarks() -> tuple[Any, Any]:
    """benchmarks/ is beside the package in a clone, and not installed with it."""
    if not (settings.ROOT / "benchmarks" / "table.py").exists():
        raise Problem("benchmarks come only with a clone of the repository: run it there")
    sys.path.insert(0, str(settings.ROOT))
    from benchmarks import table, table_view

    return table, table_view
