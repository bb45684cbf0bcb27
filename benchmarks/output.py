"""What every benchmark takes as arguments and does with its figures: shown, and kept with date, machine,
versions and the git revision."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.clients.java import java

say = Console(stderr=True, highlight=False).print  # on the way
tell = tables.say  # of the figures


def memory() -> Path | None:
    """Where a stack's data lies by default: what is measured is the job, not this machine's disk."""
    shm = Path("/dev/shm")
    return shm if shm.is_dir() else None


def arguments(doc: str, disk: bool = True) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes; ``disk``: whether its stack can lie elsewhere."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    if disk:
        parser.add_argument(
            "--disk", type=Path, default=memory(), help="where the stack's data lies"
        )
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser


def about() -> dict[str, Any]:
    """When, where and with what a figure was taken."""
    version = metadata.version
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "cpu": cpu_model(),
        "versions": {
            "java": _said([java(), "-version"]).splitlines()[:1],
            **{name: version(name) for name in ("apache-flink", "msgspec", "orjson")},
        },
        "revision": revision(),
    }


def revision() -> str:
    """The commit, with + where files differ from it; "" outside a clone."""
    git = ["git", "-C", str(settings.ROOT)]
    commit = _said([*git, "rev-parse", "--short", "HEAD"]).strip()
    return commit + ("+" if commit and _said([*git, "status", "--porcelain", "-uno"]) else "")


def _said(command: list[str]) -> str:
    code, said = run(command, 20)
    return "" if code else said


def run(command: list[str], timeout_s: float = 120) -> tuple[int, str]:
    """Its exit code and what it said; 1 and why where it did not run or took too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, done.stdout + done.stderr


def cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on standard output; all columns but the first are of numbers."""
    made = tables.Table(
        *(tables.Column(name, right=n > 0) for n, name in enumerate(columns)), title=title
    )
    for row in rows:
        made.add(*row)
    tables.show(made)


def rates(
    title: str, rows: dict[str, Any], last: str = "", cell: Callable[[Any], str] | None = None
) -> None:
    """A table of rates; ``cell`` makes of a row what stands under ``last``."""
    found = [
        (
            name,
            f"{row['rate']:,.0f}",
            f"{row['per_cpu_second']:,.0f}",
            *([cell(row)] if cell else []),
        )
        for name, row in rows.items()
    ]
    table(title, ("", "tx/s", "tx per CPU second", *([last] if cell else [])), found)


def svg(width: int, height: int, size: int, parts: Iterable[str]) -> str:
    """A picture on white, its texts of this ``size``."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'font-family="sans-serif" font-size="{size}">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *parts,
            "</svg>\n",
        ]
    )


def write(path: Path | None, figures: Any) -> None:
    """As JSON, if a file was asked for."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=1) + "\n")


def spread(found: list[float]) -> dict[str, float]:
    """Median, least and most of repeated measurements."""
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}


def percentiles(name: str, found: Sequence[float]) -> dict[str, float]:
    """p50, p99 and the largest of milliseconds; {} of fewer than two."""
    if len(found) < 2:
        return {}
    cuts = statistics.quantiles(found, n=100)
    return {f"{name}p50_ms": cuts[49], f"{name}p99_ms": cuts[98], f"{name}max_ms": max(found)}
