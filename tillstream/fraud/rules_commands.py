"""tillstream rules validate, push, list, diff, dry-run."""

from __future__ import annotations

import getpass
from datetime import datetime
from pathlib import Path

import click

from tillstream import conf as settings
from tillstream import reference
from tillstream.cli import tables
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import shown
from tillstream.domain.fraud.control import Mode
from tillstream.domain.fraud.ruleset import load_rules
from tillstream.errors import Problem
from tillstream.fraud import rule_sets
from tillstream.fraud.rules_file import (
    RulesFile,
    RulesFileError,
    packaged_rules,
    parse_rules,
    read_rules,
)

DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def rules() -> None:
    """Rule sets of the fraud job: check, push, list, compare, try."""


@rules.command()
@click.argument("file", type=click.Path(path_type=Path))
def validate(file: Path) -> None:
    """Check a rule set in YAML or JSON; each problem is reported with its line."""
    found = read_rules(file)
    click.echo(f"{file}: version {found.rules.version}, {len(found.rules.ready)} rules, good")


@rules.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--shadow", is_flag=True, help="Only record what it would have decided.")
@click.option("--shadow-off", is_flag=True, help="End the shadow set.")
@click.option("--by", default=None, help="Who pushes it; default: your login name.")
@click.option("--wait", "wait_s", default=10.0, show_default=True, help="Seconds for answers.")
def push(file: Path | None, shadow: bool, shadow_off: bool, by: str | None, wait_s: float) -> None:
    """Put a rule set in force in the running job without a restart."""
    if shadow_off == (file is not None):
        raise click.UsageError("give either a FILE or --shadow-off")
    conf = settings.load()
    mode: Mode = "shadow-off" if file is None else "shadow" if shadow else "live"
    found = read_rules(file) if file else None
    version, raw = (found.rules.version, found.raw) if found else ("", b"")
    said = rule_sets.push(conf, mode, version, raw, by or getpass.getuser(), wait_s)
    if said.problem:
        raise Problem(f"the job refuses it and keeps what it had: {said.problem}")
    if not said.live:
        raise Problem(
            f"{said.answered} of {said.subtasks or '?'} subtasks answered within {wait_s:.0f} s. It is "
            "on the topic and takes effect when the job reads it: `tillstream job list`, then "
            "`tillstream rules list`. If the job could not handle it, `tillstream dlq list` has it"
        )
    what = "the shadow set is off" if file is None else f"{version} is in force"
    what += " as shadow" if shadow else ""
    click.echo(f"{what}: all {said.subtasks} subtasks, {said.seconds:.2f} s after the push")


@rules.command("list")
def list_rules() -> None:
    """Every rule set that was pushed, and its state."""
    found = rule_sets.pushed(settings.load())
    if not found:
        version = packaged_rules().rules.version
        click.echo(f"none was pushed: the job judges with the set it started with ({version})")
        return
    table = Table("pushed", "mode", Column("version", below=True), "by", "state",
                  Column("reason", prose=True))  # fmt: skip
    for one in found:
        table.add(shown(one.at_ms), one.mode, one.version, one.by, one.state, one.problem)
    tables.show(table)


@rules.command()
@click.argument("old")
@click.argument("new")
def diff(old: str, new: str) -> None:
    """What changes from OLD to NEW, each of them a file, a version, `live`, `shadow` or `packaged`."""
    lines = rule_sets.differences(named(old).raw, named(new).raw)
    click.echo("\n".join(lines) if lines else "no difference")


def named(name: str) -> RulesFile:
    """A rule set by file, version, `live`, `shadow` or `packaged`. Raises RulesFileError.

    `live` with nothing pushed is the packaged set, with which the job starts.
    """
    if Path(name).is_file():
        return read_rules(name)
    if name == "packaged":
        return packaged_rules()
    if "/" in name or name.endswith((".yaml", ".yml", ".json")):
        raise RulesFileError([f"{name}: no such file"])
    raw = rule_sets.find(settings.load(), name)
    if raw is None and name == "live":
        return packaged_rules()
    if raw is None:
        raise RulesFileError([f"{name}: no such file, and no such version was pushed"])
    return parse_rules(raw.decode(), name)


@rules.command("dry-run")
@click.argument("new")
@click.option("--against", default="live", show_default=True, help="As in diff.")
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="Archived transactions as Parquet, file or folder; default: the archive on S3.",
)
@click.option(
    "--labels",
    type=click.Path(exists=True, path_type=Path),
    help="Labels as JSON lines; default: those on the topic.",
)
@click.option("--from", "first", type=DAY, metavar="DATE", help="First day (UTC) of the archive.")
@click.option("--to", "last", type=DAY, metavar="DATE", help="Last day.")
@click.option("--limit", type=click.IntRange(1), help="At most this many transactions.")
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON.")
def dry_run(
    new: str,
    against: str,
    data: Path | None,
    labels: Path | None,
    first: datetime | None,
    last: datetime | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Run NEW over archived transactions and compare it with the set in force."""
    from tillstream.fraud import dry_run as runs

    candidate, live = named(new), named(against)
    conf = settings.load()
    places, rates = reference.clocks(conf), reference.rates(conf)
    report = runs.run(
        load_rules(candidate.raw, places, rates),
        load_rules(live.raw, places, rates),
        runs.archived(conf, data, first, last, limit),
        runs.labels(conf, labels),
        progress=lambda n: click.echo(f"\r{n:,} transactions", err=True, nl=False),
    )
    click.echo("", err=True)
    if as_json:
        import orjson

        click.echo(orjson.dumps(report.figures(), option=orjson.OPT_INDENT_2).decode())
    else:
        report.show(tables.console())
