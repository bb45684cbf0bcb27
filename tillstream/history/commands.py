"""``tillstream history``: the files on S3, and small ones merged into large ones."""

from __future__ import annotations

from datetime import datetime

import click

from tillstream import catalog
from tillstream import conf as settings
from tillstream.catalog.tables import HISTORIES
from tillstream.cli import tables
from tillstream.cli.sizes import human
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import MOMENT, SPAN, shown
from tillstream.clients.storage import open_bucket
from tillstream.cluster.savepoint_commands import open_savepoints
from tillstream.errors import Problem
from tillstream.history import raw as raw_records
from tillstream.history import settle
from tillstream.history.compact import Compactor, Group
from tillstream.history.files import CLOCKS_MS, COMPACTED, finished
from tillstream.history.lease import Lease
from tillstream.history.settle import Span

MB = 1_000_000


def _chosen(conf: settings.Conf, names: tuple[str, ...]) -> dict[str, str]:
    """Name in settings -> prefix, of those asked for or all."""
    known = {one.id: conf.prefix(one) for one in HISTORIES}
    if strange := [name for name in names if name not in known]:
        raise click.BadParameter(
            f"no history {strange[0]!r}; there are {', '.join(known)}", param_hint="NAME"
        )
    return {name: known[name] for name in names or known}


@click.group()
def history() -> None:
    """Parquet files on S3: the ledgers, the archive, raw records, the audit, dead letters, sales."""


@history.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def list_(names: tuple[str, ...]) -> None:
    """How many files each history has, and how large they are."""
    conf = settings.load()
    chosen, bucket = _chosen(conf, names), open_bucket(conf)
    numbers = (Column(c, right=True) for c in ("files", "compacted", "in all", "median file"))
    table = Table("history", *numbers, "newest", Column("where", below=True))
    for name, prefix in chosen.items():
        files = finished(bucket, prefix, 0)
        sizes = sorted(file.bytes for file in files)
        compacted = sum(f"/{COMPACTED}" in file.key for file in files)
        table.add(
            name, f"{len(files):,}", f"{compacted:,}", human(sum(sizes)),
            human(sizes[len(sizes) // 2]) if sizes else "",
            shown(files[-1].finished_ms) if files else "", f"s3://{conf.s3.bucket}/{prefix}",
        )  # fmt: skip
    tables.show(table)


@history.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--older-than", type=SPAN, default="7d", show_default=True, metavar="SPAN",
              help="Leave younger files alone.")  # fmt: skip
@click.option("--target-mb", type=click.IntRange(1, 1024), default=128, show_default=True,
              help="Size of a merged file; files of half of it or more stay.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
def compact(names: tuple[str, ...], older_than: int, target_mb: int, dry_run: bool) -> None:
    """Merge small files of histories (NAMEs as in `history list`) into large ones, by folder.

    Files that a kept savepoint may need are left alone: all that are younger than the oldest one, or named
    by one without a manifest. While a manifest cannot be read, nothing is done. For a few seconds a reader
    may see rows twice, never too few. What an interrupted run began, the next run finishes. While another
    run, or a replay, is at a history, this one ends with an error.
    """
    conf = settings.load()
    chosen = _chosen(conf, names)
    bucket = open_bucket(conf)
    before_ms = bucket.now_ms() - older_than * 1000
    savepoints = open_savepoints()
    named = {key for at, key in savepoints.named_without_manifest() if at == conf.s3.bucket}
    kept = savepoints.kept()
    oldest = min(kept, key=lambda one: one.as_of_ms) if kept else None
    if oldest and oldest.as_of_ms - CLOCKS_MS < before_ms:
        before_ms = oldest.as_of_ms - CLOCKS_MS
        click.echo(
            f"the savepoint of {oldest.job} as of {shown(oldest.as_of_ms)} is kept: only files "
            f"finished before {shown(before_ms)} (`tillstream savepoint prune`)"
        )
    for name, prefix in chosen.items():
        lease = Lease(bucket, prefix, "history compact", click.echo)
        if dry_run:
            lease.read()
            groups = Compactor(lease).plan(before_ms, target_mb * MB, named)
            _say_what_would_be(name, groups)
            continue
        with lease:
            compactor = Compactor(lease)
            if ended := compactor.finish():
                click.echo(f"{name}: {ended} left over from an earlier run finished")
            _compact(compactor, name, compactor.plan(before_ms, target_mb * MB, named))


@history.command("settle")
@click.argument("name", metavar="JOB")
@click.option("--since", type=MOMENT, required=True, metavar="TIME",
              help="Of the older state that the job went back to.")  # fmt: skip
@click.option("--until", type=MOMENT, required=True, metavar="TIME",
              help="When it was started from there.")  # fmt: skip
def settle_(name: str, since: int, until: int) -> None:
    """Set aside what JOB has written to S3 twice, since it went back to an older state.

    Of what was finished between the two times, the rows that it has written again later, by their ids; they
    lie under _replayed then, which no reader opens. Run it once the job has caught up; before that, or run
    twice, it does no harm. A replay does the same by itself.
    """
    if since >= until:
        raise click.UsageError("--since must be before --until")
    entry, conf = catalog.job(name), settings.load()
    if entry.sums:
        raise Problem(f"{name} writes rows without an id: which are there twice nobody can tell")
    mark = f"again-{since}-{until}"
    done = settle.settle(conf, name, Span(since, until, whole=False), mark, click.echo)
    open_savepoints().supersede(name, since, until, mark)
    click.echo(
        f"{name}: {done.rows:,} rows in {done.files:,} files were there twice and are set aside"
    )


@history.command("raw")
@click.argument("what", metavar="TRANSACTION|ORIGIN")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]),
              help="Of the transaction's end, or of the record's arrival for an ORIGIN; in UTC.")  # fmt: skip
def raw_(what: str, day: datetime | None) -> None:
    """Show what the till sent, as it came: by transaction id, or by origin (kinesis:STREAM/SHARD/NUMBER,
    kafka:TOPIC/PARTITION/OFFSET).

    Card numbers in free text are masked. Records that were refused are in the dead letters (`dlq show`).
    Without --day every file is opened, which takes long in a large archive.
    """
    conf = settings.load()
    chosen = f"{day:%Y-%m-%d}" if day else ""
    found = False
    for one in raw_records.find(conf, open_bucket(conf), what, chosen):
        found = True
        click.echo(f"{one.origin}, arrived {shown(one.arrived_ms)}:", err=True)
        click.echo(one.raw)
    if not found:
        raise click.ClickException(
            f"no raw record of {what} is kept{f' of {chosen}' if chosen else ''}: without --day all days are "
            "looked at; a record of less than a checkpoint ago is not there yet; what was refused "
            "is in the dead letters (`tillstream dlq list`)"
        )


def _say_what_would_be(name: str, groups: list[Group]) -> None:
    files, size = _sums(groups)
    would = f"{files:,} files ({human(size)}) would become {len(groups):,}"
    click.echo(f"{name}: {would if groups else 'nothing to do'}")


def _compact(compactor: Compactor, name: str, groups: list[Group]) -> None:
    if not groups:
        click.echo(f"{name}: nothing to do")
        return
    seen, (files, _) = 0, _sums(groups)

    def progress(group: Group) -> None:
        nonlocal seen
        seen += len(group.files)
        click.echo(f"  {group.folder}: {len(group.files):,} files; {seen:,} of {files:,}")

    done = compactor.compact(groups, progress)
    click.echo(f"{name}: {done.files:,} files ({human(done.bytes)}) became {done.into:,}")


def _sums(groups: list[Group]) -> tuple[int, int]:
    """Files and their bytes."""
    return sum(len(group.files) for group in groups), sum(group.bytes for group in groups)
