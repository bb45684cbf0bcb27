"""``tillstream check``: the proof that the platform's balances and stock levels are right."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from tillstream import catalog
from tillstream import conf as settings
from tillstream.check.compare import check as run_check
from tillstream.check.report import POLL_SECONDS, Report
from tillstream.check.sales import check_sales
from tillstream.check.stock import check_stock
from tillstream.cli import tables
from tillstream.cli.numbers import Finite
from tillstream.cli.tables import Column, Table
from tillstream.cluster.local import open_cluster
from tillstream.cluster.protocol import Cluster
from tillstream.conf import Conf
from tillstream.errors import Problem

READ_WITHIN_MS = (
    10_000  # as young as what was read last is where a stream does not count what waits
)
MEANS_NOTHING = "differences mean nothing until it has read all"


@click.command()
@click.option(
    "--truth", type=click.Path(path_type=Path), required=True, help="Directory of `sim --truth`."
)
@click.option(
    "--order",
    type=click.Choice(["sent", "ledger"]),
    default="sent",
    show_default=True,
    help="ledger: where the stream may reorder a customer's records (a shard was split).",
)
@click.option("--wait", type=Finite(min=0), default=0.0, help="Seconds to wait until all is equal.")
@click.option("--loyalty/--no-loyalty", default=True, help="Balances and ledger.")
@click.option("--dead-letters/--no-dead-letters", default=True)
@click.option("--archive/--no-archive", default=True)
@click.option("--stock", is_flag=True, help="Only stock levels and orders.")
@click.option("--sales", is_flag=True, help="Only revenue by shelf, and tax by store and day.")
@click.option(
    "--decisions/--no-decisions",
    default=True,
    help="With --stock: orders and alerts too; not if the terms of ordering changed meanwhile.",
)
@click.option("--notices/--no-notices", default=False, help="What the notifier sent.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def check(
    truth: Path,
    order: Any,
    wait: float,
    stock: bool,
    sales: bool,
    decisions: bool,
    as_json: bool,
    **parts: Any,
) -> None:
    """Recompute every balance, stock level or sum of sales from what was sent; exit 1 if anything differs.

    Where a job has not read all that was sent it is said first how far it is behind: what differs then may
    only have to be read yet. --wait waits for that too, for half of its time at most.
    """
    conf = settings.load()
    jobs = [catalog.DOOR]
    jobs += ["sales"] if sales else ["inventory"] if stock else []
    jobs += [] if sales or stock else [one for one in ("loyalty", "archive") if parts[one]]
    began = time.monotonic()
    behind = _await_read(conf, jobs, wait / 2)
    for line in () if as_json else behind:  # which says it with what differs
        click.echo(f"{line}: {MEANS_NOTHING}", err=True)
    wait = max(0.0, wait - (time.monotonic() - began))
    if sales:
        report = check_sales(truth, conf, wait_seconds=wait)
    elif stock:
        report = check_stock(truth, conf, wait_seconds=wait, decisions=decisions)
    else:
        report = run_check(truth, conf, order, wait_seconds=wait, **parts)
    if behind and not report.ok:
        report.behind = behind
    if as_json:
        click.echo(json.dumps(asdict(report) | {"ok": report.ok}, indent=2))
    else:
        show(report, tables.console())
    sys.exit(not report.ok)


def _await_read(conf: Conf, jobs: Sequence[str], wait_seconds: float) -> list[str]:
    """How far behind each of the jobs is that has not read all, for ``wait_seconds`` at most."""
    begun = time.monotonic()
    while True:
        found = _behind(conf, jobs)
        if not found or time.monotonic() - begun + POLL_SECONDS > wait_seconds:
            return found
        time.sleep(POLL_SECONDS)


def _behind(conf: Conf, jobs: Sequence[str]) -> list[str]:
    """A line for each. Nothing is known of a job that does not run, or where the cluster does not answer."""
    try:
        cluster = open_cluster(conf)
        return [line for job in jobs if (line := _unread(cluster, job))]
    except (Problem, BotoCoreError, ClientError):
        return []


def _unread(cluster: Cluster, job: str) -> str:
    run = cluster.running(job)
    if run is None:
        return ""
    figures = cluster.figures(run.job_id)
    if figures.waiting is None and figures.behind_ms is None:  # the first look may find none
        time.sleep(POLL_SECONDS)
        figures = cluster.figures(run.job_id)
    if figures.waiting is not None:
        behind = f"{figures.waiting:,} records wait" if figures.waiting else ""
    else:
        late_ms = figures.behind_ms or 0
        behind = f"by {late_ms / 1000:,.0f} s" if late_ms > READ_WITHIN_MS else ""
    return f"{job} is behind ({behind}; {figures.read:,} read)" if behind else ""


def show(report: Report, console: Console) -> None:
    """Totals of both sides, then the first differences."""
    table = Table("", Column("recomputed", right=True), Column("found", right=True), "",
                  title=f"{report.sent:,} records sent, checked in {report.seconds:.1f} s")  # fmt: skip
    for name, (want, found) in report.totals.items():
        table.add(name, f"{want:,}", f"{found:,}", "equal" if want == found else "DIFFERS")
    tables.show(table, console)
    lines = [f"{count:,} {name}" for name, count in report.others.items() if count]
    lines = [f"Of other runs or jobs, not compared: {', '.join(lines)}"] if lines else []
    if report.figures:
        told = ", ".join(f"{name} {amount:,}" for name, amount in report.figures.items())
        lines.append(f"Recomputed, with nothing to compare it with: {told}")
    lines += [f"{d.where}: {d.subject}: {d.cause}" for d in report.differences]
    if report.count > len(report.differences):
        lines.append(f"... {report.count - len(report.differences):,} more differences")
    lines += [f"{line}: {MEANS_NOTHING}" for line in report.behind]
    lines.append("Everything is equal." if report.ok else f"{report.count:,} differences.")
    for line in lines:
        tables.say(line, console)
