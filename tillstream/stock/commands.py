"""``tillstream stock``: what is there of a product in a store, for how long, what is on order, and why."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import click

from tillstream import conf as settings
from tillstream.stock.view import NoSuchStock, describe, read


@click.command()
@click.argument("store", type=click.IntRange(1, 9099))
@click.argument("product")
def stock(store: int, product: str) -> None:
    """Level, projected run-out and open orders of PRODUCT in STORE (or a centre), and why."""
    try:
        item: dict[str, Any] = read(settings.load(), store, product)
    except (NoSuchStock, settings.ConfError) as error:
        raise click.ClickException(str(error)) from None
    for line in describe(item, time.time_ns() // 1_000_000):
        click.echo(line)


@click.group()
def streams() -> None:
    """Changes that others make to hot tables, brought to the jobs."""


@streams.command()
@click.option("--once", is_flag=True, help="What is there now, then end.")
@click.option("--poll", type=click.FloatRange(0.1), default=1.0, help="Seconds between looks.")
def bridge(once: bool, poll: float) -> None:
    """Corrections of the stock table to the inventory job, until interrupted."""
    from tillstream.stock.bridge import Bridge, BridgeError

    stop = threading.Event()
    try:
        running = Bridge(settings.load())
        if once:
            click.echo(f"{running.once()} corrections sent")
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        running.run(stop, poll, click.echo)
    except (BridgeError, settings.ConfError) as error:
        raise click.ClickException(str(error)) from None
