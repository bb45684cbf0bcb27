"""tillstream job submit, list, stop, restore, cancel."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from tillstream import catalog
from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import shown
from tillstream.cluster.local import open_cluster
from tillstream.cluster.protocol import Cluster, JobError
from tillstream.errors import Problem


def overrides_of(pairs: tuple[str, ...]) -> dict[str, Any]:
    """source.kind=kafka -> {"source": {"kind": "kafka"}}; values are YAML. Raises ConfError."""
    return settings.nest(dict(settings.override(pair) for pair in pairs))


@click.group()
def job() -> None:
    """Submit, list, stop, restore, cancel jobs."""


def _open() -> Cluster:
    return open_cluster(settings.load())


class _Submission(NamedTuple):
    """How jobs are submitted: what the options say."""

    parallelism: int | None
    overrides: dict[str, Any]
    start: str | None
    allow_dropped_state: bool
    accept_loss: bool
    counted_again: bool

    def one(self, cluster: Cluster, name: str) -> None:
        began = time.monotonic()
        job_id = cluster.submit(
            name,
            self.parallelism,
            self.overrides,
            self.start,
            progress=click.echo,
            allow_dropped_state=self.allow_dropped_state,
            accept_loss=self.accept_loss,
            counted_again=self.counted_again,
        )
        click.echo(f"{name} runs: {job_id} ({time.monotonic() - began:.1f} s)")

    def each(self, cluster: Cluster, names: list[str]) -> None:
        """One after the other, going on past what fails; ends with a line for each."""
        outcomes = {}
        for name in names:
            try:
                self.one(cluster, name)
                outcomes[name] = ""
            except Problem as error:
                error.show()
                outcomes[name] = error.message.splitlines()[0]
        for name, problem in outcomes.items():
            click.echo(f"{name}: not submitted: {problem}" if problem else f"{name}: runs")
        if any(outcomes.values()):
            sys.exit(1)


def _submits(command: Callable[[str | None, _Submission], None]) -> Callable[..., None]:
    """The options of both commands, handed on as NAME (None with --all) and what else they say."""

    @functools.wraps(command)
    def with_options(name: str | None, every: bool, pairs: tuple[str, ...], **said: Any) -> None:
        if (name is None) != every:
            raise click.UsageError("give either NAME or --all")
        command(name, _Submission(overrides=overrides_of(pairs), **said))

    for option in (
        click.option(
            "--parallelism", type=click.IntRange(1),
            help="Instead of conf's, or of what a restored job had.",
        ),
        click.option("--conf", "pairs", multiple=True, metavar="KEY=VALUE", help="Over conf/."),
        click.option(
            "--allow-dropped-state", is_flag=True, help="Restore even if an operator is gone."
        ),
        click.option(
            "--accept-loss", is_flag=True, help="Go on without what the streams no longer hold."
        ),
        click.option(
            "--counted-again", is_flag=True,
            help="A job that adds up may start from a state that is not its last one.",
        ),
        click.argument("name", required=False),
    ):  # fmt: skip
        with_options = option(with_options)
    return with_options


@job.command()
@_submits
@click.option("--from", "start", metavar="SAVEPOINT|latest", help="Go on from there.")
@click.option("--all", "every", is_flag=True, help="Every job that does not run yet.")
def submit(name: str | None, submission: _Submission) -> None:
    """Submit jobs/NAME.py and wait until it runs."""
    cluster = _open()
    if name:
        submission.one(cluster, name)
        return
    running = {run.name for run in cluster.runs() if not run.ended}
    for one in sorted(running):
        click.echo(f"{one} runs already")
    names = sorted(catalog.names(), key=lambda one: one != catalog.DOOR)
    submission.each(cluster, [one for one in names if one not in running])


@job.command()
@_submits
@click.option(
    "--from",
    "start",
    default="latest",
    show_default=True,
    metavar="latest|latest-checkpoint|latest-savepoint|PATH",
)
@click.option("--all", "every", is_flag=True, help="Every job that ran when the cluster was lost.")
def restore(name: str | None, submission: _Submission) -> None:
    """Submit jobs/NAME.py again from what it left behind, with the parallelism it had."""
    if name is None and not (submission.start or "").startswith("latest"):
        raise click.UsageError(
            "with --all, --from is latest, latest-checkpoint or latest-savepoint"
        )
    cluster = _open()
    if name:
        submission.one(cluster, name)
        return
    lost = cluster.lost()
    if not lost:
        click.echo("no job was lost: what was submitted runs, or was stopped or cancelled")
    submission.each(cluster, lost)


@job.command("list")
def list_jobs() -> None:
    """Jobs the cluster knows, and what each job can be restored from."""
    cluster = _open()
    table = Table(
        "name", "state", "since", Column("restarts", right=True), Column("id", below=True)
    )
    found = cluster.runs()
    for run in found:
        failures = str(len(cluster.exceptions(run.job_id)))
        table.add(run.name, run.state, shown(run.started_ms), failures, run.job_id)
    if found:
        tables.show(table)
    else:
        click.echo("no jobs: `tillstream job submit NAME`")
    for name in cluster.submitted():
        try:
            tables.say(f"{name} can be restored from {cluster.locate(name, 'latest')}")
        except JobError:  # it has left nothing
            continue
        except Problem as error:
            tables.say(f"what {name} can be restored from is not known: {error.message}")


@job.command()
@click.argument("name_or_id", metavar="NAME|ID")
@click.option("--savepoint", is_flag=False, flag_value="", metavar="[DIR]", help="Where to put it.")
@click.option("--drain", is_flag=True, help="Fire all timers first: for a job that is over.")
def stop(name_or_id: str, savepoint: str | None, drain: bool) -> None:
    """Stop a job with a savepoint."""
    taken = _open().stop(name_or_id, savepoint or None, drain)
    click.echo(f"stopped; savepoint {taken.location}")


@job.command()
@click.argument("name_or_id", metavar="NAME|ID")
def cancel(name_or_id: str) -> None:
    """End a job without a savepoint; its last checkpoint is kept."""
    click.echo(f"cancelled {_open().cancel(name_or_id)}")
