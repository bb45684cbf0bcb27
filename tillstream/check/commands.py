"""``tillstream check``: the proof that the platform's balances are right."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tillstream import conf as settings
from tillstream.check.compare import check as run_check
from tillstream.check.platform import Unreachable
from tillstream.check.report import Report
from tillstream.check.sent import NoTruth
from tillstream.check.stock import check_stock


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
@click.option("--wait", type=float, default=0.0, help="Seconds to wait for equality.")
@click.option("--loyalty/--no-loyalty", default=True, help="Balances and ledger.")
@click.option("--dead-letters/--no-dead-letters", default=True)
@click.option("--archive/--no-archive", default=True)
@click.option("--stock", is_flag=True, help="Stock levels and orders, and nothing else.")
@click.option(
    "--decisions/--no-decisions",
    default=True,
    help="With --stock: orders and alerts too; not where the terms of ordering changed on the way.",
)
@click.option("--notices/--no-notices", default=False, help="What the notifier sent.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def check(
    truth: Path, order: Any, wait: float, stock: bool, decisions: bool, as_json: bool, **parts: Any
) -> None:
    """Recompute every balance or stock level from what was sent; exit 1 if anything differs."""
    try:
        if stock:
            report = check_stock(truth, settings.load(), wait_seconds=wait, decisions=decisions)
        else:
            report = run_check(truth, settings.load(), order, wait_seconds=wait, **parts)
    except (NoTruth, Unreachable, settings.ConfError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(asdict(report) | {"ok": report.ok}, indent=2))
    else:
        show(report, Console())
    raise SystemExit(0 if report.ok else 1)


def show(report: Report, console: Console) -> None:
    """Totals of both sides, then the first differences."""
    table = Table(title=f"{report.sent:,} records sent, checked in {report.seconds:.1f} s")
    table.add_column("")
    table.add_column("recomputed", justify="right")
    table.add_column("found", justify="right")
    table.add_column("")
    for name, (want, found) in report.totals.items():
        table.add_row(name, f"{want:,}", f"{found:,}", "equal" if want == found else "DIFFERS")
    console.print(table)
    others = {name: count for name, count in report.others.items() if count}
    if others:
        listed = ", ".join(f"{count:,} {name}" for name, count in others.items())
        console.print(f"Of other runs, not compared: {listed}")
    for difference in report.differences:
        text = f"{difference.where}: {difference.subject}: {difference.cause}"
        console.print(text, markup=False, highlight=False)
    if report.count > len(report.differences):
        console.print(f"... {report.count - len(report.differences):,} more differences")
    console.print("Everything is equal." if report.ok else f"{report.count:,} differences.")
