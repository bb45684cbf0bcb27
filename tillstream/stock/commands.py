"""``tillstream stock``: what is there of a product in a store, for how long, what is on order, and why."""

from __future__ import annotations

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
