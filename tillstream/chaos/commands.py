"""``tillstream chaos``: a real stack under faults drawn from a seed, and whether its promises held."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import click

from tillstream import conf as settings
from tillstream.chaos.plan import Plan, Where, draw
from tillstream.cli.errors import Interrupted
from tillstream.cli.numbers import Finite
from tillstream.errors import Problem
from tillstream.local.stack import Stack


@click.command()
@click.option("--seed", type=int, help="What is drawn is the same for the same seed; default: any.")
@click.option("--minutes", type=Finite(0.5, 24 * 60), default=2.0, show_default=True)
@click.option("--here", is_flag=True, help="On the running stack instead of one of its own.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--keep", is_flag=True, help="Keep logs and data of a good run too.")
def chaos(seed: int | None, minutes: float, here: bool, dry_run: bool, keep: bool) -> None:
    """Break a stack by a seed and see that all stays right.

    Starts a stack of its own with some of the jobs, sends traffic, kills, freezes, cuts and slows what
    the jobs need, restores and rescales them in the midst of it. Then recomputes everything from what
    was sent. Exit code 1 if a promise did not hold, with the line that repeats the run.
    """
    seed = seed if seed is not None else time.time_ns() // 1_000_000 % 1_000_000
    again = f"tillstream chaos --seed {seed} --minutes {minutes:g}{' --here' if here else ''}"
    where = Where(Stack().layout.must_read()["taskmanagers"], own=False) if here else Where()
    if where.taskmanagers < 2:
        raise Problem(
            "intake and a job behind it need a slot each: `tillstream up --taskmanagers 2`"
        )
    if here:
        again += f" (on a stack of {where.taskmanagers} TaskManagers)"
    plan = draw(seed, int(minutes * 60), where)
    for line in plan.lines():
        click.echo(line)
    if dry_run:
        return
    folder = settings.home() / "chaos" / f"seed-{seed}-{time.strftime('%H%M%S', time.gmtime())}"
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        wrong = _run(plan, folder, own=not here)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: all of it is ended; logs: {folder}") from None
    except Problem as error:
        error.notes += [f"logs: {folder}", f"again: {again}"]
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    if wrong:
        click.echo(f"{wrong} promises did not hold; logs: {folder}")
        click.echo(f"again: {again}")
        raise SystemExit(1)
    if keep:
        click.echo(f"logs: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    click.echo("every promise held")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(plan: Plan, folder: Path, own: bool) -> int:
    """How many promises did not hold."""
    from tillstream.chaos.hands import Hands
    from tillstream.chaos.invariants import judge
    from tillstream.chaos.rig import Rig
    from tillstream.chaos.watch import Watch

    if own:
        os.environ["TILLSTREAM_HOME"] = str(folder)
    folder.mkdir(parents=True)
    with (folder / "chaos.log").open("w") as log:

        def say(line: str) -> None:
            click.echo(line)
            log.write(line + "\n")
            log.flush()

        rig = Rig(plan, Stack(folder if own else None), folder, own, say)
        wrong = 0
        try:
            rig.start()
            with Watch(rig) as watch:
                hands = Hands(rig, say)
                rig.begin()
                hands.play(plan)
                say("all faults are over")
                for finding in judge(rig, hands, watch):
                    wrong += bool(finding.wrong)
                    note = f" ({finding.note})" if finding.note else ""
                    say(f"{'WRONG' if finding.wrong else 'ok   '} {finding.what}{note}")
                    for line in finding.wrong:
                        say(f"        {line}")
            return wrong
        finally:
            rig.close()
