"""``tillstream stock``: what a store has of a product, for how long, what is on order, and why."""

from __future__ import annotations

import click

from tillstream import conf as settings
from tillstream.cli.numbers import Finite
from tillstream.cli.stopping import stop_on_signal
from tillstream.cli.times import now_ms
from tillstream.stock.view import describe, read


@click.command()
@click.argument("store", type=click.IntRange(1, 9099))
@click.argument("product")
def stock(store: int, product: str) -> None:
    """Level, projected run-out and open orders of PRODUCT in STORE (or a centre), and why."""
    for line in describe(read(settings.load(), store, product), now_ms()):
        click.echo(line)


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
