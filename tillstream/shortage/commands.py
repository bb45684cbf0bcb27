"""``tillstream shortages``: which shelves run out or are empty, and why."""

from __future__ import annotations

import json
from typing import Any

import click

from tillstream.catalog.tables import SHORTAGES
from tillstream.cli import tables
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import clock, minute
from tillstream.clients import aws as clients
from tillstream.clients import items
from tillstream.conf import Conf, load
from tillstream.domain.local_time import UTC
from tillstream.domain.shortage.line import OK
from tillstream.reference import region_zones, zones


@click.command()
@click.option("--store", type=click.IntRange(1), help="Only this store.")
@click.option("--region", help="Only the regional alerts of this region.")
@click.option("--all", "everything", is_flag=True, help="Also shortages that are over.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object per line, times in ms (UTC)."
)
def shortages(store: int | None, region: str | None, everything: bool, as_json: bool) -> None:
    """Shelves that are empty or will be before help can come, and regional alerts; with the reason."""
    if store and region:
        raise click.UsageError("give --store or --region, not both")
    conf = load()
    place = f"store:{store}" if store else f"region:{region}" if region else None
    found = [line for line in read(conf, place) if everything or line["status"] != OK]
    found.sort(key=lambda line: (line["place"], line.get("run_out_ms", 0), line["product"]))
    if as_json:
        for line in found:
            click.echo(json.dumps(line))
        return
    show(found, conf, place)


def read(conf: Conf, place: str | None) -> list[dict[str, Any]]:
    """The table's lines of one place, or of all."""
    client, table = clients.dynamodb(conf), conf.table(SHORTAGES)
    if place:
        return list(items.query(client, table, "place", place))
    pages = client.get_paginator("scan").paginate(TableName=table)
    return [items.plain(item) for page in pages for item in page["Items"]]


def show(found: list[dict[str, Any]], conf: Conf, place: str | None) -> None:
    """A table for people, times as the stores' clocks show them."""
    if not found:
        click.echo(f"Nothing is short{f' at {place}' if place else ''}.")
        return
    places = {f"store:{store}": zone for store, zone in zones(conf).items()}
    places |= {f"region:{region}": zone for region, zone in region_zones(conf).items()}
    table = Table("place", "product", "status", Column("left", right=True), "gone by", "since",
                  Column("why", prose=True))  # fmt: skip
    for line in found:
        zone = places.get(line["place"], UTC)
        gone, since = line.get("run_out_ms"), line["since_ms"]
        if gone and "early_ms" in line:
            late = clock(line["late_ms"], zone) if "late_ms" in line else "later"
            gone_by = f"{clock(gone, zone)} ({clock(line['early_ms'], zone)} to {late})"
        else:
            gone_by = clock(gone, zone) if gone else ""
        table.add(
            line["place"], line["product"], line["status"].replace("_", " "),
            str(line.get("stock", "")), gone_by, minute(since, zone) if since else "", line["why"],
        )  # fmt: skip
    tables.show(table)
