"""``tillstream till``: forward what tills send, and see what waits or is refused."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tillstream.cli import sizes, tables
from tillstream.cli.stopping import stop_on_signal
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import SPAN, ago, now_ms, shown
from tillstream.conf import Conf, load
from tillstream.errors import Problem
from tillstream.till import layout
from tillstream.till.exported import line_of
from tillstream.till.spool import Refused, Spool, drop_refused, read_refused, refused_record
from tillstream.till.status import Status, folder_of, limits_of, status_of


@click.group()
def till() -> None:
    """Forward records from a store; see what waits or is refused."""


@till.command()
@click.argument("source", required=False, type=click.Choice(["-"]))
@click.option(
    "--watch",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of files with a record per line, each moved in by a rename. Several may be given.",
)
@click.option(
    "--done",
    type=click.Path(path_type=Path),
    help="Move files of --watch there once they are safe, instead of deleting them.",
)
@click.option(
    "--listen", type=click.IntRange(0, 65535), metavar="PORT", help="POST /records on 127.0.0.1."
)
@click.option(
    "--key",
    default="till",
    show_default=True,
    help="Of records that are no transaction of contract v1 or v2; they go one after another.",
)
@click.option("--until-empty", is_flag=True, help="Without input: end once nothing waits.")
@click.option(
    "--drain", type=SPAN, default=0, metavar="SPAN", help="Go on delivering for so long at the end."
)
def forward(
    source: str | None,
    watch: tuple[Path, ...],
    done: Path | None,
    listen: int | None,
    key: str,
    until_empty: bool,
    drain: int,
) -> None:
    """Forward records to the stream of conf.source; what it does not take waits in the spool.

    With - records are read from standard input, a line each; standard output counts the safe ones. Without
    any input only the spool is delivered. Ctrl-C finishes what was accepted.
    """
    if done is not None and not watch:
        raise click.UsageError("--done needs --watch")
    if until_empty and (watch or source or listen is not None):
        raise click.UsageError("--until-empty is without input")
    from tillstream.till.endpoint import Endpoint
    from tillstream.till.files import Folder
    from tillstream.till.forwarder import Forwarder
    from tillstream.till.lines import Lines
    from tillstream.till.progress import Progress
    from tillstream.till.service import Intake, serve
    from tillstream.till.targets import open_target

    conf = load()
    batches = {"batch_records": conf.till.batch_records, "record_bytes": conf.till.record_bytes}
    folder = folder_of(conf)
    with layout.lock(folder), stop_on_signal() as stop:
        spool = Spool(folder, limits_of(conf))
        target = open_target(conf)
        forwarder = Forwarder(
            spool, target, conf.till, progress=Progress(target.name, folder, _say)
        )
        intakes: list[Intake] = []
        try:
            for one in watch:
                intakes.append(Folder(one, forwarder, key, done=done, say=_say, **batches))
            if listen is not None:
                endpoint = Endpoint(listen, forwarder, key, conf.till.request_bytes)
                intakes.append(endpoint)
                _say(f"listening on {endpoint.url}/records")
            if source:
                stdin = sys.stdin.fileno()
                intakes.append(Lines(stdin, forwarder, key, safe=click.echo, say=_say, **batches))
        except BaseException:
            forwarder.close()
            raise
        _say(f"forwarding to {target.name}; {spool.sums.waiting:,} records wait in {folder}")
        left = serve(
            forwarder, intakes, stop, until_empty=until_empty, drain_s=drain,
            every=_Warning(conf, spool),
        )  # fmt: skip
    _say(f"{forwarder.progress.delivered:,} records delivered; {left:,} wait in the spool")


class _Warning:
    """Says once that the spool fills up, and once more after it had room again."""

    def __init__(self, conf: Conf, spool: Spool) -> None:
        self._percent, self._spool = conf.till.warn_percent, spool
        self._told = False

    def __call__(self) -> None:
        used = self._spool.used_percent()
        if used >= self._percent and not self._told:
            _say(f"warning: the spool is {used} % full: at 100 % tills are refused")
        self._told = used >= self._percent


def _say(text: str) -> None:
    click.echo(f"{shown(now_ms())} {text}", err=True)


@till.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(as_json: bool) -> None:
    """What waits, since when, and what went wrong last. Returns 1 where a person has to act."""
    import json

    found = status_of(load(), now_ms())
    if as_json:
        click.echo(json.dumps(found._asdict()))
    else:
        _show(found)
    sys.exit(bool(found.problems))


def _show(found: Status) -> None:
    table = Table("", Column(" ", prose=True))
    table.add("forwarder", f"runs, to {found.target}" if found.running else "does not run")
    table.add("waiting", f"{found.waiting:,} records, {sizes.human(found.waiting_bytes)}")
    if found.oldest_ms is not None:
        table.add("oldest", f"{shown(found.oldest_ms)}, {ago(found.oldest_ms)}")
    table.add("refused", f"{found.refused:,} records, {sizes.human(found.refused_bytes)}")
    table.add("spool", f"{found.used_percent} % full")
    if found.last_success_ms is not None:
        table.add("last success", shown(found.last_success_ms))
    if found.last_error_ms is not None:
        table.add("last error", f"{shown(found.last_error_ms)}, {found.last_error}")
    tables.show(table)
    for problem in found.problems:
        tables.say(problem)


@till.group()
def refused() -> None:
    """Records that the stream can never take: list, export or drop them."""


@refused.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def list_(as_json: bool) -> None:
    """What is refused and why, oldest first; keys are shown as digests, contents not at all."""
    import json

    with _opened() as db:
        found = read_refused(db) if db else []
    if as_json:
        for one in found:
            click.echo(json.dumps(one._asdict()))
        return
    if found:
        table = Table("id", "accepted", Column("bytes", right=True), Column("key", least=True),
                      Column("why", prose=True))  # fmt: skip
        for one in found:
            size = f"{one.size:,}"
            table.add(str(one.seq), shown(one.accepted_ms), size, one.key_hash, one.reason)
        tables.show(table)
    click.echo(f"{len(found):,} refused")


_ids = click.argument("ids", nargs=-1, type=int, metavar="[ID]...")
_every = click.option("--all", "every", is_flag=True, help="All that are refused.")


@refused.command()
@_ids
@_every
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A new file, for you alone."
)
def export(ids: tuple[int, ...], every: bool, out: Path) -> None:
    """Write refused records to a file, with keys and contents. They stay refused until dropped."""
    with _opened() as db:
        found = _named(db, ids, every)
        try:
            file = os.fdopen(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        except FileExistsError:
            raise Problem(f"{out} is there already: give --out a new file") from None
        with file:
            for one in found:
                record = refused_record(db, one.seq) if db else None
                if record is not None:  # dropped by somebody else meanwhile
                    file.write(line_of(*record))
            file.flush()
            os.fsync(file.fileno())
    click.echo(f"{len(found):,} exported to {out}")


@refused.command()
@_ids
@_every
@click.confirmation_option(prompt="They are gone then. Are they exported, or not needed?")
def drop(ids: tuple[int, ...], every: bool) -> None:
    """Delete refused records for good."""
    with _opened() as db:
        found = _named(db, ids, every)
        dropped = drop_refused(db, [one.seq for one in found]) if db else 0
    click.echo(f"{dropped:,} dropped")


@contextlib.contextmanager
def _opened() -> Iterator[sqlite3.Connection | None]:
    db = layout.read_file(folder_of(load()))
    with contextlib.closing(db) if db else contextlib.nullcontext() as found:
        yield found


def _named(db: sqlite3.Connection | None, ids: tuple[int, ...], every: bool) -> list[Refused]:
    """Raises Problem for an id that is not refused."""
    if bool(ids) == every:
        raise click.UsageError("give ids, or --all")
    found = {one.seq: one for one in (read_refused(db) if db else [])}
    if unknown := [str(one) for one in ids if one not in found]:
        raise Problem(
            f"not refused: {', '.join(unknown)}: `tillstream till refused list` shows what is"
        )
    return list(found.values()) if every else [found[one] for one in ids]
