"""``tillstream demo``: the main job live on the local stack, and then its proof."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from tillstream import conf as settings
from tillstream.check.commands import show
from tillstream.check.compare import check as run_check
from tillstream.check.report import Report
from tillstream.cli import tables
from tillstream.cluster.local import LocalCluster
from tillstream.demo.view import View
from tillstream.demo.watch import Watch
from tillstream.errors import Problem
from tillstream.local.stack import Stack
from tillstream.sim.kinesis_sender import KinesisSender
from tillstream.sim.runner import run
from tillstream.sim.simulator import CONTRACTS, Faults, Simulator
from tillstream.sim.truth import TruthWriter
from tillstream.sim.world import profile_names

JOBS = ("intake", "loyalty", "archive")
FAULTS = Faults(duplicates=0.01, malformed=0.01, late=0.05, out_of_order=0.02)
CATCH_UP_S = 120.0
LINE_EVERY_S = 5.0


@click.command()
@click.option("--seconds", type=click.IntRange(5), default=45, show_default=True)
@click.option("--rate", type=click.IntRange(1, 5_000), default=300, show_default=True, help="tx/s")
@click.option("--profile", type=click.Choice(profile_names()), default="normal", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--contract", type=click.Choice(CONTRACTS), default="v1", show_default=True)
@click.option("--stay", is_flag=True, help="Leave stack and jobs running after the proof.")
@click.option("--fresh", is_flag=True, help="Wipe your stack even if it holds data of other runs.")
def demo(
    seconds: int, rate: int, profile: str, seed: int, contract: str, stay: bool, fresh: bool
) -> None:
    """The main job, live: tills to Kinesis to balances, archive and events; then its proof.

    Starts the local stack with empty data and runs the intake, loyalty and archive jobs. Sends transactions,
    some duplicate, malformed, late or out of order. Then recomputes every balance from what was sent
    and compares. Exit code 0 only if all is equal.
    """
    console = tables.console()
    stack = Stack()
    _refuse_to_wipe(stack, fresh)
    report: Report | None = None
    kept = False
    try:
        with _steps(console, "the local stack starts") as step:
            stack.up(taskmanagers=len(JOBS), fresh=True, progress=step)
            _marker(stack).touch()
            jobs = LocalCluster(stack)
            running = {name: jobs.submit(name, 1, progress=step) for name in JOBS}
        web = stack.layout.read()["flink"]["rest"]
        report = _feed_and_prove(
            console, jobs, running, web, (seconds, rate, profile, seed, contract)
        )
        if stay:
            kept = True
            console.print(
                f"It keeps running. Flink: {web}\n`tillstream sim` sends more, "
                "`tillstream status` shows its state, `tillstream down` stops it."
            )
        else:
            for name in JOBS:
                console.print(f"{name} stopped with savepoint {jobs.stop(name).location}")
    except KeyboardInterrupt:
        console.print("interrupted: taking the stack down")
        raise SystemExit(130) from None
    finally:
        if not kept:
            stack.down()
    raise SystemExit(0 if report and report.ok else 1)


def _feed_and_prove(
    console: Console,
    jobs: LocalCluster,
    running: dict[str, str],
    web: str,
    traffic: tuple[int, int, str, int, str],
) -> Report:
    seconds, rate, *_ = traffic
    conf = settings.load("local")
    truth = settings.home() / "demo"
    shutil.rmtree(truth, ignore_errors=True)
    sent = _Sent()
    stop = threading.Event()
    feeder = threading.Thread(
        target=_feed, args=(conf, truth, traffic, stop, sent), daemon=True, name="tills"
    )
    with Watch(conf, jobs, running) as watch:
        view = View(watch.figures, seconds * rate, web)
        feeder.start()
        try:
            with _screen(console, view) as show_now:
                deadline = float("inf")
                while time.monotonic() < deadline:
                    show_now(sent.count)
                    time.sleep(0.25)
                    if not feeder.is_alive():
                        deadline = min(deadline, time.monotonic() + CATCH_UP_S)
                        left = (
                            watch.figures.waiting(j, sent.count)
                            for j in watch.figures.jobs.values()
                        )
                        if not any(left):
                            break
                show_now(sent.count)
        finally:
            stop.set()
            feeder.join(60)
    if sent.failure:
        raise sent.failure
    with _steps(console, "proving: recomputing every balance from what was sent"):
        for job_id in running.values():
            with contextlib.suppress(Problem):  # else the next one, by itself
                jobs.checkpoint(job_id)
        report = run_check(truth, conf, "sent", wait_seconds=90)
    show(report, console)
    return report


@contextlib.contextmanager
def _steps(console: Console, title: str) -> Iterator[Callable[[str], None]]:
    """Shows the step: a spinner on a terminal, else a line each."""
    if console.is_terminal:
        with console.status(title) as status:
            yield status.update
    else:
        console.print(title)
        yield console.print


@contextlib.contextmanager
def _screen(console: Console, view: View) -> Iterator[Callable[[int], None]]:
    """Shows the progress: the live screen on a terminal, else a line every few seconds."""
    if console.is_terminal:
        with Live(view.draw(0), console=console, refresh_per_second=4) as live:
            yield lambda sent: live.update(view.draw(sent))
        return
    due = 0.0

    def line(sent: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            console.print(view.line(sent))
            due = time.monotonic() + LINE_EVERY_S

    yield line


class _Sent:
    """What the feeding thread has done so far."""

    def __init__(self) -> None:
        self.count = 0
        self.failure: Exception | None = None

    def progress(self, count: int) -> None:
        self.count = count


def _feed(
    conf: settings.Conf,
    truth: Path,
    traffic: tuple[int, int, str, int, str],
    stop: threading.Event,
    sent: _Sent,
) -> None:
    seconds, rate, profile, seed, contract = traffic
    records = Simulator(
        profile, seed, count=seconds * rate, customers=3_000, rate=rate, faults=FAULTS,
        contract=contract,
    )  # fmt: skip
    try:
        sender = KinesisSender(conf, truth / "spool.jsonl")
        writer = TruthWriter(truth, profile=profile, seed=seed, rate=rate)
        run(records, sender, writer, rate=rate, stop=stop, progress=sent.progress)
    except Exception as failure:
        sent.failure = failure


def _marker(stack: Stack) -> Path:
    return stack.layout.data / "demo"


def _refuse_to_wipe(stack: Stack, fresh: bool) -> None:
    """The demo needs empty data; what is not its own is wiped only on request."""
    data = stack.layout.data
    mine = _marker(stack).exists()
    if data.exists() and any(data.iterdir()) and not mine and not fresh:
        raise Problem(
            f"{data} holds data of your stack, and the demo starts with empty data: "
            "run `tillstream demo --fresh` to wipe it, or set TILLSTREAM_HOME to another folder"
        )
    if stack.layout.read() and not fresh:
        running = [p.name for p in stack.status() if p.pid]
        if running:
            raise Problem(
                f"a stack is running here already ({', '.join(running)}): `tillstream down` first, "
                "or `tillstream demo --fresh`"
            )
