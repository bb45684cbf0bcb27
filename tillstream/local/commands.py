"""tillstream up, status, doctor, logs, down."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Column, Table

from tillstream.clients.flink import FlinkRest, FlinkRestError
from tillstream.jars import JarsError
from tillstream.local import doctor as diagnosis
from tillstream.local import processes
from tillstream.local.layout import StackError
from tillstream.local.stack import Stack


def _fail(error: Exception) -> None:
    click.echo(f"error: {error}", err=True)
    sys.exit(1)


@click.command()
@click.option("--taskmanagers", type=click.IntRange(1, 16), help="One slot each; first 2.")
@click.option("--fresh", is_flag=True, help="Delete the stack's data first.")
@click.option("--state-backend", type=click.Choice(["hashmap", "rocksdb"]), help="First hashmap.")
def up(taskmanagers: int | None, fresh: bool, state_backend: str | None) -> None:
    """Start what does not run of the local stack, and wait until all of it serves."""
    began = time.monotonic()
    stack = Stack()
    try:
        endpoints = stack.up(taskmanagers, fresh, state_backend, click.echo)
    except (StackError, JarsError) as error:
        _fail(error)
    except KeyboardInterrupt:
        click.echo("interrupted: what this call started is stopped again", err=True)
        sys.exit(130)
    else:
        click.echo(
            f"up in {time.monotonic() - began:.1f} s; Flink web UI {endpoints['flink']['rest']}; "
            "stop it all with `tillstream down`"
        )


@click.command()
@click.option("--purge", is_flag=True, help="Also delete data and logs.")
def down(purge: bool) -> None:
    """Stop every process of the local stack. Data stays, except what Kinesis held in memory."""
    ended = Stack().down(purge)
    click.echo(f"stopped {ended} processes" + (", deleted their data" if purge else ""))


@click.command()
def status() -> None:
    """What runs, where, how well; exit code 1 if something is down."""
    console = Console()
    stack = Stack()
    found = stack.status()
    if not found:
        _fail(StackError("there is no stack: run `tillstream up`"))
    table = Table("process", "pid", "address", "memory", "healthy")
    for process in found:
        memory = f"{process.memory_mib} MiB" if process.pid else ""
        health = "[green]yes" if process.healthy else f"[red]{process.problem}"
        table.add_row(process.name, str(process.pid or ""), process.address, memory, health)
    total = sum(process.memory_mib for process in found)
    table.add_section()
    table.add_row("all", "", "", f"{total} MiB", "")
    console.print(table)
    _jobs(console, FlinkRest(stack.layout.read()["flink"]["rest"]))
    if problem := stack.disk_problem():
        console.print(f"[red]{problem}", soft_wrap=True)
    if problem or not all(process.healthy for process in found):
        sys.exit(1)


def _jobs(console: Console, flink: FlinkRest) -> None:
    try:
        jobs = flink.jobs()
    except FlinkRestError as error:
        console.print(f"[red]{error}")
        return
    table = Table(
        "job", Column("id", no_wrap=True), "state", "tasks running", "checkpoints", "last one"
    )
    for job in sorted(jobs, key=lambda job: -job["start-time"]):
        checkpoints = flink.checkpoints(job["jid"])
        latest = (checkpoints.get("latest") or {}).get("completed") or {}
        last = ""
        if latest:
            age_s = time.time() - latest["latest_ack_timestamp"] / 1000
            last = f"{age_s:.0f} s ago, {latest['state_size'] / 1024:.0f} KiB"
        tasks = f"{job['tasks']['running']} of {job['tasks']['total']}"
        count = str(checkpoints.get("counts", {}).get("completed", 0))
        table.add_row(job["name"], job["jid"], job["state"], tasks, count, last)
    if jobs:
        console.print(table)


@click.command()
def doctor() -> None:
    """What is wrong on this machine, each with the command that mends it."""
    console = Console(highlight=False, soft_wrap=True)
    findings = diagnosis.examine(Stack())
    for finding in findings:
        mark = "[green]ok  " if finding.ok else "[red]FAIL"
        console.print(f"{mark}[/] {finding.what}")
        if not finding.ok:
            console.print(f"       fix: {finding.fix}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on as the log grows.")
@click.option("-n", "--lines", type=click.IntRange(1), default=50, show_default=True)
def logs(name: str, follow: bool, lines: int) -> None:
    """Show the log of a process, e.g. `tillstream logs taskmanager-1 -f`."""
    layout = Stack().layout
    files = [f for f in (layout.log(name), layout.output(name)) if f.exists() and f.stat().st_size]
    if not files:
        known = sorted({path.stem for path in layout.logs.glob("*.*") if path.stat().st_size})
        _fail(StackError(f"no log of {name}; there are: {', '.join(known) or 'none yet'}"))
    for file in files:
        for line in processes.tail(file, lines):
            click.echo(line)
    if follow:
        try:
            _follow(files[0])
        except KeyboardInterrupt:
            click.echo()


def _follow(path: Path) -> None:
    file = path.open(errors="replace")
    file.seek(0, 2)
    while True:
        line = file.readline()
        if line:
            click.echo(line, nl=False)
            continue
        time.sleep(0.3)
        # A rotated log begins anew under the same name.
        if path.exists() and path.stat().st_size < file.tell():
            file.close()
            file = path.open(errors="replace")
