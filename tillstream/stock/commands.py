"""``tillstream stock``: what a store has of a product, for how long, what is on order, and why; and which
shelves nobody has counted."""

from __future__ import annotations

from typing import Any

import click

from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.cli.numbers import Finite
from tillstream.cli.stopping import stop_on_signal
from tillstream.cli.times import now_ms
from tillstream.stock.view import describe, never_counted, place, read, sold_and_left

Place = click.IntRange(1, 9099)


class OrShelf(click.Group):
    """Commands by name; whatever begins with a number is a shelf."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0].isdecimal():
            return "shelf", shelf, args
        return super().resolve_command(ctx, args)


@click.group(cls=OrShelf, subcommand_metavar="STORE PRODUCT | COMMAND [ARGS]...")
def stock(**_: Any) -> None:
    """Level, projected run-out and open orders of PRODUCT in STORE (or a centre), and why."""


@click.command()
@click.argument("store", type=Place)
@click.argument("product")
def shelf(store: int, product: str) -> None:
    """Level, projected run-out and open orders of PRODUCT in STORE (or a centre), and why."""
    conf = settings.load()
    hours = conf.inventory.patience_hours
    for line in describe(read(conf, store, product), now_ms(), hours):
        click.echo(line)


@stock.command("never-counted")
@click.argument("store", type=Place)
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="At most this many."
)
def list_never_counted(store: int, limit: int) -> None:
    """Products of STORE that were never counted, best sellers first."""
    found = never_counted(settings.load(), store)
    if not found:
        click.echo(f"every product seen in {place(store)} was counted")
        return
    listed = tables.Table(
        "product", tables.Column("sold per day", right=True), tables.Column("level", right=True)
    )
    for item in found[:limit]:
        listed.add(item["product"], *sold_and_left(item))
    tables.console().print(listed)
    click.echo(f"{len(found):,} in {place(store)} were never counted: send a count of them")


@click.group()
def streams() -> None:
    """Changes that others make to hot tables, brought to the jobs."""


@streams.command()
@click.option("--once", is_flag=True, help="Send what is there now, then stop.")
@click.option("--poll", type=Finite(0.1), default=1.0, help="Seconds between reads.")
def bridge(once: bool, poll: float) -> None:
    """Bring corrections of the stock table to the inventory job, until Ctrl-C."""
    from tillstream.stock.bridge import open_bridge

    with stop_on_signal() as stop:
        running = open_bridge(settings.load(), click.echo, stop)
        if once:
            click.echo(f"{running.once()} corrections sent")
        else:
            running.run(poll)
