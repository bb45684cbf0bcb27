"""``tillstream history``: what lies on S3, and small files made into large ones."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click
from rich.console import Console
from rich.table import Column, Table

from tillstream import conf as settings
from tillstream.cli.sizes import human
from tillstream.cli.times import shown, span_s
from tillstream.clients.storage import open_bucket
from tillstream.cluster.job_commands import told
from tillstream.cluster.protocol import JobError
from tillstream.cluster.savepoint_commands import open_savepoints
from tillstream.history.compact import CompactError, Compactor, Group
from tillstream.history.files import CLOCKS_MS, COMPACTED, finished

MB = 1_000_000


@contextlib.contextmanager
def _told() -> Iterator[settings.Conf]:
    """The settings; what goes wrong as one line on stderr."""
    with told():
        try:
            yield settings.load()
        except CompactError as error:
            raise JobError(f"{error}: nothing of that folder was deleted; run it again") from None


def _chosen(conf: settings.Conf, names: tuple[str, ...]) -> dict[str, str]:
    """Name in settings -> prefix, of those asked for or all."""
    known = conf.s3.prefixes
    if strange := [name for name in names if name not in known]:
        raise click.BadParameter(f"{strange[0]!r} is none of {', '.join(known)}", param_hint="NAME")
    return {name: known[name] for name in names or known}


@click.group()
def history() -> None:
    """Parquet files on S3: the ledgers, the archive, the audit, dead letters, sales."""


@history.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def list_(names: tuple[str, ...]) -> None:
    """How many files each history has, and how large they are."""
    with _told() as conf:
        chosen, bucket = _chosen(conf, names), open_bucket(conf)
        table = Table("history", *(Column(c, justify="right") for c in _COLUMNS), "newest", "where")
        for name, prefix in chosen.items():
            files = finished(bucket, prefix, 0)
            sizes = sorted(file.bytes for file in files)
            compacted = sum(f"/{COMPACTED}" in file.key for file in files)
            table.add_row(
                name, f"{len(files):,}", f"{compacted:,}", human(sum(sizes)),
                human(sizes[len(sizes) // 2]) if sizes else "",
                shown(files[-1].finished_ms) if files else "", f"s3://{conf.s3.bucket}/{prefix}",
            )  # fmt: skip
    (Console() if sys.stdout.isatty() else Console(width=200, highlight=False)).print(table)


_COLUMNS = ("files", "compacted", "in all", "median file")


@history.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--older-than", default="7d", show_default=True, metavar="SPAN",
              help="Leave younger files alone.")  # fmt: skip
@click.option("--target-mb", type=click.IntRange(1, 1024), default=128, show_default=True,
              help="Size of a file; those of half of it stay as they are.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def compact(names: tuple[str, ...], older_than: str, target_mb: int, dry_run: bool) -> None:
    """Make small files of histories (NAMEs as `history list` has them) into large ones, by folder.

    Files are left alone that a kept savepoint may need: all that are younger than the oldest one.
    For seconds a reader may see rows twice, never too few. Run one at a time; what a run that broke
    off had begun, the next one ends.
    """
    try:
        span_ms = span_s(older_than) * 1000
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--older-than") from None
    with _told() as conf:
        chosen = _chosen(conf, names)
        bucket = open_bucket(conf)
        compactor = Compactor(bucket)
        before_ms = bucket.now_ms() - span_ms
        kept = open_savepoints().kept()
        oldest = min(kept, key=lambda one: one.as_of_ms) if kept else None
        if oldest and oldest.as_of_ms - CLOCKS_MS < before_ms:
            before_ms = oldest.as_of_ms - CLOCKS_MS
            click.echo(
                f"the savepoint of {oldest.job} as of {shown(oldest.as_of_ms)} is kept: only files "
                f"finished before {shown(before_ms)} (`tillstream savepoint prune`)"
            )
        for name, prefix in chosen.items():
            _compact(compactor, name, prefix, before_ms, target_mb * MB, dry_run)


def _compact(
    compactor: Compactor, name: str, prefix: str, before_ms: int, target: int, dry_run: bool
) -> None:
    if not dry_run and (ended := compactor.finish(prefix)):
        click.echo(f"{name}: {ended} begun by an earlier run are ended")
    groups = compactor.plan(prefix, before_ms, target)
    files, size = sum(len(g.files) for g in groups), sum(g.bytes for g in groups)
    if not groups:
        click.echo(f"{name}: nothing to do")
        return
    if dry_run:
        click.echo(f"{name}: {files:,} files ({human(size)}) would become {len(groups):,}")
        return
    seen = 0

    def progress(group: Group) -> None:
        nonlocal seen
        seen += len(group.files)
        click.echo(f"  {group.folder}: {len(group.files):,} files; {seen:,} of {files:,}")

    done = compactor.compact(prefix, groups, progress)
    click.echo(f"{name}: {done.files:,} files ({human(done.bytes)}) became {done.into:,}")
