"""``tillstream check``: the proof that the platform's balances and stock levels are right."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tillstream import conf as settings
from tillstream.check.compare import check as run_check
from tillstream.check.report import Report
from tillstream.check.sales import check_sales
from tillstream.check.stock import check_stock
from tillstream.cli import tables
from tillstream.cli.numbers import Finite
from tillstream.cli.tables import Column, Table


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
    """Recompute every balance, stock level or sum of sales from what was sent; exit 1 if anything differs."""
    if sales:
        report = check_sales(truth, settings.load(), wait_seconds=wait)
    elif stock:
        report = check_stock(truth, settings.load(), wait_seconds=wait, decisions=decisions)
    else:
        report = run_check(truth, settings.load(), order, wait_seconds=wait, **parts)
    if as_json:
        click.echo(json.dumps(asdict(report) | {"ok": report.ok}, indent=2))
    else:
        show(report, tables.console())
    sys.exit(not report.ok)


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
    lines.append("Everything is equal." if report.ok else f"{report.count:,} differences.")
    for line in lines:
        tables.say(line, console)
