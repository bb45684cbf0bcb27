"""The figures of benchmarks/table.py as a table and as a picture."""

from __future__ import annotations

from html import escape
from typing import Any

from rich.console import Console

from benchmarks import output
from tillstream.cli import tables
from tillstream.cli.tables import Column

COLUMNS = ("", "tx/s", "least - most", "tx per CPU second", "p50 / p99 ms", "from the till",
           "state B a key", "us of CPU a tx: Python", "conversion", "JVM", "broker")  # fmt: skip
PARTS = ("python", "conversion", "jvm", "broker")


def title(figures: dict[str, Any]) -> str:
    count = figures["topic"]["count"]
    return f"{count:,} transactions, {figures['machine']}, {figures['cpu']}, {figures['date']}"


def cells(row: dict[str, Any]) -> list[str]:
    """A row's cells after its name, "" for what was not measured."""
    if "rate" not in row:
        rates = [row.get("error", "not measured")[:48], "", ""]
    else:
        rate, per_cpu = row["rate"], row["per_cpu_second"]["median"]
        between = f"{rate['min']:,.0f} - {rate['max']:,.0f}" if len(row["samples"]) > 1 else "once"
        rates = [f"{rate['median']:,.0f}", between, f"{per_cpu:,.0f}"]
    state, cpu = row.get("state", {}), row.get("cpu_us", {})
    lates = (row.get(figure, {}) for figure in ("latency", "latency_from_till"))
    return [
        *rates,
        *(
            f"{late['p50_ms']:,.0f} / {late['p99_ms']:,.0f}" if "p50_ms" in late else ""
            for late in lates
        ),
        f"{state['bytes_a_key']:,.0f} ({state['key']})" if state else "",
        *(f"{cpu[part]:,.1f}" if part in cpu else "" for part in PARTS),
    ]


def show(figures: dict[str, Any], console: Console) -> None:
    columns = (Column(name, right=bool(name)) for name in COLUMNS)
    table = tables.Table(*columns, title=title(figures))
    for name, row in figures["rows"].items():
        table.add(name, *cells(row))
    tables.show(table, console)
    rate = figures["settings"]["latency_rate"]
    tables.say(
        f"Rates of one worker each, in mid-run. Latency at {rate:,} tx/s, from put until a reader of "
        "Kafka sees the event: of the job alone, and from the till with intake before it. Each "
        "transaction also costs what intake takes, once. Method: docs/performance.md",
        console,
    )


WIDTH, LEFT, BAR, GAP = 860, 270, 18, 8


def svg(figures: dict[str, Any]) -> str:
    """Bars of transactions a CPU second, ours in another colour, with the spread of repeats."""
    rows = {n: r["per_cpu_second"] for n, r in figures["rows"].items() if "per_cpu_second" in r}
    ours = [n for n in rows if ", " not in n]
    most = max((found["max"] for found in rows.values()), default=1.0)
    scale = (WIDTH - LEFT - 90) / most
    at = 56
    parts = [
        '<text x="12" y="22" font-size="15">Transactions a CPU second</text>',
        f'<text x="12" y="40" fill="#555">{escape(title(figures))}</text>',
    ]
    for name, found in rows.items():
        wide, colour = found["median"] * scale, "#1f77b4" if name in ours else "#9aa5b1"
        low, high = LEFT + found["min"] * scale, LEFT + found["max"] * scale
        middle = at + BAR / 2
        parts += [
            f'<text x="{LEFT - 8}" y="{at + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{at}" width="{wide:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#222"/>',
            f'<text x="{max(high, LEFT + wide) + 6:.1f}" y="{at + 13}">{found["median"]:,.0f}</text>',
        ]
        at += BAR + GAP
    return output.svg(WIDTH, at + 8, 12, parts)
