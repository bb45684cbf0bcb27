"""``tillstream shortages``: which shelves run out or are empty, and why it is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from tillstream.catalog import tables
from tillstream.clients import aws as clients
from tillstream.conf import Conf, ConfError, load
from tillstream.domain.shortage.line import OK

NUMBERS = ("version", "at_ms", "since_ms", "stock", "early_ms", "run_out_ms", "late_ms",
           "lead_minutes", "demand_percent")  # fmt: skip


@click.command()
@click.option("--store", type=click.IntRange(1), help="Only this store.")
@click.option("--region", help="Only the regional alerts of this region.")
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, times in ms (UTC).")
def shortages(store: int | None, region: str | None, everything: bool, as_json: bool) -> None:
    """Shelves that will run out before help can come or are empty, and regional alerts; with why."""
    if store and region:
        raise click.UsageError("give --store or --region, not both")
    try:
        conf = load()
        place = f"store:{store}" if store else f"region:{region}" if region else None
        found = [line for line in read(conf, place) if everything or line["status"] != OK]
    except ConfError as error:
        raise click.ClickException(str(error)) from None
    except (BotoCoreError, ClientError) as error:
        where = conf.dynamodb.endpoint or conf.region
        table = conf.table(tables.SHORTAGES)
        raise click.ClickException(
            f"DynamoDB table {table} at {where} cannot be read "
            f"({str(error).splitlines()[0][:120]}): `tillstream up` starts and creates it"
        ) from None
    found.sort(key=lambda line: (line["place"], line.get("run_out_ms", 0), line["product"]))
    if as_json:
        for line in found:
            click.echo(json.dumps(line))
        return
    show(found, conf, place)


def read(conf: Conf, place: str | None) -> list[dict[str, Any]]:
    """The table's lines of one place, or of all."""
    client = clients.dynamodb(conf)
    table = conf.table(tables.SHORTAGES)
    if place:
        pages = client.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="#place = :place",
            ExpressionAttributeNames={"#place": "place"},
            ExpressionAttributeValues={":place": {"S": place}},
        )
    else:
        pages = client.get_paginator("scan").paginate(TableName=table)
    return [_plain(item) for page in pages for item in page["Items"]]


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    return {
        name: int(value["N"]) if name in NUMBERS else value["S"] for name, value in item.items()
    }


def show(found: list[dict[str, Any]], conf: Conf, place: str | None) -> None:
    """A table for people, times as the stores' clocks show them."""
    if not found:
        click.echo(f"Nothing is short{f' at {place}' if place else ''}.")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=220)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("place", "product", "status", "left", "gone by", "since", "why"):
        table.add_column(name, justify="right" if name == "left" else "left")
    for line in found:
        gone = _clock(line.get("run_out_ms"), conf)
        if "early_ms" in line:
            gone += f" ({_clock(line['early_ms'], conf)} to {_clock(line.get('late_ms'), conf)})"
        table.add_row(
            line["place"],
            line["product"],
            line["status"].replace("_", " "),
            str(line.get("stock", "")),
            gone if line.get("run_out_ms") else "",
            _clock(line["since_ms"], conf, day=True) if line["since_ms"] else "",
            line["why"],
        )
    console.print(table)


def _clock(at_ms: int | None, conf: Conf, day: bool = False) -> str:
    if at_ms is None:
        return "later"
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    at += timedelta(minutes=conf.demand.utc_offset_minutes)
    return f"{at:%Y-%m-%d %H:%M}" if day else f"{at:%H:%M}"
