"""tillstream up, status, doctor, logs, down."""

from __future__ import annotations

import os
import sys
import time

import click
from rich.console import Console
from rich.text import Text

from tillstream.cli import tables, times
from tillstream.cli.errors import Interrupted
from tillstream.cli.sizes import human
from tillstream.cli.tables import Column, Table
from tillstream.clients.flink import FlinkRest, FlinkRestError
from tillstream.local import doctor as diagnosis
from tillstream.local import processes
from tillstream.local.layout import StackError
from tillstream.local.stack import Stack


@click.command()
@click.option("--taskmanagers", type=click.IntRange(1, 16), help="One slot each; at first 2.")
@click.option("--fresh", is_flag=True, help="Delete the stack's data first.")
@click.option(
    "--state-backend", type=click.Choice(["hashmap", "rocksdb"]), help="At first hashmap."
)
def up(taskmanagers: int | None, fresh: bool, state_backend: str | None) -> None:
    """Start whatever part of the local stack is not running, and wait until all of it serves."""
    began = time.monotonic()
    try:
        endpoints = Stack().up(taskmanagers, fresh, state_backend, click.echo)
    except KeyboardInterrupt:
        raise Interrupted("interrupted: what this call started is stopped again") from None
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
    """What is running, where, and how well; exit code 1 if something is down."""
    console = tables.console()
    stack = Stack()
    found = stack.status()
    table = Table("process", Column("pid", right=True), "address", Column("memory", right=True),
                  Column("healthy", prose=True))  # fmt: skip
    for process in found:
        memory = human(process.memory_mib << 20) if process.pid else ""
        health = Text("yes", "green") if process.healthy else Text(process.problem, "red")
        table.add(process.name, str(process.pid or ""), process.address, memory, health)
    table.add("all", "", "", human(sum(process.memory_mib for process in found) << 20), "")
    tables.show(table, console)
    _jobs(console, FlinkRest(stack.layout.read()["flink"]["rest"]))
    if problem := stack.disk_problem():
        console.print(Text(problem, "red"), soft_wrap=True)
    if problem or not all(process.healthy for process in found):
        sys.exit(1)


def _jobs(console: Console, flink: FlinkRest) -> None:
    try:
        jobs = flink.jobs()
    except FlinkRestError as error:
        console.print(Text(str(error), "red"), soft_wrap=True)
        return
    table = Table("job", "state", "tasks running", Column("checkpoints", right=True), "last one",
                  Column("id", below=True))  # fmt: skip
    for job in sorted(jobs, key=lambda job: -job["start-time"]):
        checkpoints = flink.checkpoints(job["jid"])
        latest = (checkpoints.get("latest") or {}).get("completed") or {}
        last = ""
        if latest:
            last = f"{times.ago(latest['latest_ack_timestamp'])}, {human(latest['state_size'])}"
        tasks = f"{job['tasks']['running']} of {job['tasks']['total']}"
        count = str(checkpoints.get("counts", {}).get("completed", 0))
        table.add(job["name"], job["state"], tasks, count, last, job["jid"])
    if jobs:
        console.print()
        tables.show(table, console)


@click.command()
def doctor() -> None:
    """What is wrong on this machine, each with the command that fixes it."""
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
@click.option("-f", "--follow", is_flag=True, help="Keep showing what is added.")
@click.option("-n", "--lines", type=click.IntRange(1), default=50, show_default=True)
def logs(name: str, follow: bool, lines: int) -> None:
    """Show the log of a process, e.g. `tillstream logs taskmanager-1 -f`."""
    layout = Stack().layout
    files = [f for f in (layout.log(name), layout.output(name)) if f.exists() and f.stat().st_size]
    if not files:
        known = sorted({path.stem for path in layout.logs.glob("*.*") if path.stat().st_size})
        raise StackError(f"no log of {name}; there are: {', '.join(known) or 'none yet'}")
    for file in files:
        for line in processes.tail(file, lines):
            click.echo(line)
    if follow:
        sys.stdout.flush()
        # -F, for a rotated log starts again under the same name; in our place, so that who ends us ends it.
        os.execvp("tail", ["tail", "-n", "0", "-F", str(files[0])])
