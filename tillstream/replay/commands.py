"""``tillstream replay``: back to a savepoint, and forward again."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import KafkaException

from tillstream import catalog
from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.cli.errors import Interrupted
from tillstream.cli.times import MOMENT, moment_ms, now_ms, shown
from tillstream.clients.storage import StorageError
from tillstream.clients.wait import NotInTime
from tillstream.cluster.job_commands import overrides_of
from tillstream.cluster.local import open_cluster
from tillstream.errors import Unreachable
from tillstream.replay.phases import Phase, ReplayError
from tillstream.replay.replay import Replay
from tillstream.replay.watch import Progress

QUIET_LINE_S = 10.0
# What may break off a replay and leaves its phase as it is.
OUTSIDE = (Unreachable, StorageError, NotInTime, KafkaException, BotoCoreError, ClientError)


@click.command()
@click.option("--job", required=True, help="The job to replay.")
@click.option("--from", "start", metavar="TIME|SAVEPOINT", help="2h, an ISO time, or a savepoint.")
@click.option(
    "--to", "until_ms", type=MOMENT, metavar="TIME", help="Leave out what arrived later, then stop."
)
@click.option("--resume", is_flag=True, help="Continue a replay that was interrupted.")
@click.option("--no-wait", is_flag=True, help="Do not wait until it has caught up.")
@click.option("--yes", is_flag=True, help="Stop the job without asking if it is running.")
@click.option(
    "--accept-loss", is_flag=True, help="Continue without records that are kept nowhere any more."
)
@click.option("--parallelism", type=click.IntRange(1), help="Instead of the savepoint's.")
@click.option("--conf", "pairs", multiple=True, metavar="KEY=VALUE", help="Over conf/.")
def replay(
    job: str,
    start: str | None,
    until_ms: int | None,
    resume: bool,
    no_wait: bool,
    yes: bool,
    accept_loss: bool,
    parallelism: int | None,
    pairs: tuple[str, ...],
) -> None:
    """Restore JOB from the last savepoint at or before a time, and process again from there.

    What the stream no longer holds is read from the archive. No notice is sent to people twice. With
    --to the job stops at that time with a savepoint; `replay --from` that savepoint continues. Ctrl-C
    stops watching, not the replay: --resume watches again, and restores the job if it has died.
    """
    if bool(start) == resume:
        raise click.UsageError("give either --from TIME|SAVEPOINT or --resume")
    overrides = overrides_of(pairs)
    catalog.must_know(job)
    try:
        conf = settings.load(overrides=overrides).of(catalog.find(job))
        one = Replay(open_cluster(conf), conf, click.echo)
        if resume:
            phase = _resumed(one, job)
        else:
            phase = _begun(
                one, job, start or "", overrides, parallelism, until_ms, accept_loss, yes
            )
        if no_wait:
            click.echo(f"`tillstream replay --job {job} --resume` watches it")
            return
        _follow(one, phase)
    except OUTSIDE as error:
        raise ReplayError(f"{error}: see `tillstream status`, then --resume") from None


def _begun(
    one: Replay,
    job: str,
    start: str,
    overrides: dict[str, Any],
    parallelism: int | None,
    until_ms: int | None,
    accept_loss: bool,
    yes: bool,
) -> Phase:
    at_ms = moment_ms(start, now_ms())
    found = one.savepoints.find(job, at_ms if at_ms is not None else start)
    click.echo(f"from the savepoint as of {shown(found.as_of_ms)}: {found.location}")
    unfinished: Phase | None = None
    with contextlib.suppress(ReplayError):  # a file nobody can read: begun again it is replaced
        unfinished = one.phases.load(job)
    if unfinished and not yes:
        raise ReplayError(
            f"a replay of {job} from {unfinished.origin.savepoint} is not finished: --resume takes it up. "
            "--yes begins again from there, and sets aside what it has written"
        )
    if unfinished and found.taken_at_ms > unfinished.origin.taken_at_ms:
        # Its rows since then stand in for those of the run before, which may be aside already.
        raise ReplayError(
            f"a replay from an older savepoint is not finished: --resume, or begin again with --from "
            f"{unfinished.origin.savepoint} or an older one"
        )
    if until_ms is not None and until_ms <= found.as_of_ms:
        raise ReplayError("--to must be later than the savepoint")
    if one.cluster.running(job) and not yes:
        question = f"{job} runs. Stop it (with a savepoint) and replay?"
        if not sys.stdin.isatty():
            raise ReplayError(f"{question} There is no terminal to ask on: give --yes")
        click.confirm(question, abort=True)
    return one.begin(job, found, overrides, parallelism, until_ms, accept_loss)


def _resumed(one: Replay, job: str) -> Phase:
    phase = one.phases.load(job)
    if phase is None:
        raise ReplayError(f"no replay of {job} is under way: give --from TIME|SAVEPOINT")
    return one.resume(phase)


def _follow(one: Replay, phase: Phase) -> None:
    origin, console = phase.origin, tables.console()
    began = said = time.monotonic()
    read = 0
    with console.status("the replay begins") as status:

        def show(progress: Progress) -> None:
            nonlocal said, read
            read = progress.read
            if console.is_terminal:
                status.update(progress.line())
            elif time.monotonic() - said > QUIET_LINE_S:
                said = time.monotonic()
                click.echo(progress.line())

        try:
            one.follow(phase, show)
        except KeyboardInterrupt:
            raise Interrupted(
                f"no longer watching; the replay goes on. `tillstream replay --job {origin.job} "
                f"--resume` watches it again, `tillstream job stop {origin.job}` stops it"
            ) from None
    done = "stopped" if origin.until_ms is not None else "live"
    click.echo(f"{origin.job} is {done}: {read:,} read in {time.monotonic() - began:.0f} s")
