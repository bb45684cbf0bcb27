"""``tillstream dlq``: list, show and redrive dead letters."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

import click

from tillstream.cli import tables
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import MOMENT, shown
from tillstream.cluster.job_commands import overrides_of
from tillstream.cluster.submissions import not_read, read_by_the_door
from tillstream.conf import Conf, load
from tillstream.dead_letters import model
from tillstream.dead_letters.advice import advice
from tillstream.dead_letters.contracts import contracts
from tillstream.dead_letters.model import Contract, DeadRecord, DlqError, Refusal, Sendable
from tillstream.errors import Problem

SOURCES = click.Choice(["kafka", "s3"])


@click.group()
def dlq() -> None:
    """List, show and redrive dead letters: records that no job could use."""


def _read(
    conf: Conf,
    source: str,
    wanted: set[str] | None = None,
    keep_raw: bool = True,
    since_ms: int | None = None,
    marks_needed: bool = False,
) -> dict[str, DeadRecord]:
    """Dead letters merged by id. From S3, their redriven marks still come from the topic."""
    from tillstream.dead_letters import read as dlq_read

    keep = dlq_read.everything if wanted is None else wanted.__contains__
    if source == "kafka":
        return model.merge(dlq_read.from_kafka(conf, keep, keep_raw))
    seen: list[model.Sighting | model.Marker] = list(
        dlq_read.from_s3(conf, keep, keep_raw, since_ms)
    )
    try:
        topic = dlq_read.from_kafka(conf, keep, keep_raw=False)
        seen += [one for one in topic if isinstance(one, model.Marker)]
    except Problem as error:
        if marks_needed:
            raise
        click.echo(f"Which of them were redriven is not known: {error}", err=True)
    return model.merge(seen)


@dlq.command("list")
@click.option("--source", type=SOURCES, default="kafka", show_default=True)
@click.option("--reason", "reasons", multiple=True, help="Only this reason (may be repeated).")
@click.option("--job", "jobs", multiple=True, help="Only what this job refused.")
@click.option("--since", "since_ms", type=MOMENT, help="30m, 2h, 3d, or an ISO time (UTC).")
@click.option("--limit", type=click.IntRange(min=1), help="The newest N only [table: 50].")
@click.option("--all", "with_redriven", is_flag=True, help="Also those redriven already.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.option("--raw", "with_raw", is_flag=True, help="With --json: the record itself as well.")
def list_(
    source: str,
    reasons: Sequence[str],
    jobs: Sequence[str],
    since_ms: int | None,
    limit: int | None,
    with_redriven: bool,
    as_json: bool,
    with_raw: bool,
) -> None:
    """Dead letters and their number by reason."""
    if with_raw and not as_json:
        raise click.UsageError("--raw goes with --json")
    records = _read(load(), source, keep_raw=with_raw, since_ms=since_ms)
    chosen = model.choose(
        records.values(), reasons=reasons, jobs=jobs, since_ms=since_ms, with_redriven=with_redriven
    )
    if as_json:
        for record in chosen[-limit:] if limit else chosen:
            click.echo(json.dumps(model.export(record, with_raw)))
        return
    limit = limit or 50
    hidden = sum(bool(record.redriven) for record in records.values()) if not with_redriven else 0
    if chosen:
        tables.show(_table(chosen[-limit:][::-1]))
        click.echo()
    for reason, count in model.totals(chosen).items():
        click.echo(f"{count:>8,}  {reason}")
    newest = f", the newest {limit} shown" if len(chosen) > limit else ""
    redriven = f"; {hidden:,} redriven ones hidden (--all)" if hidden else ""
    click.echo(f"{len(chosen):>8,}  dead letters{newest}{redriven}")


def _table(records: Iterable[DeadRecord]) -> Table:
    table = Table("failed at", Column("reason", prose=True), "jobs", Column("bytes", right=True),
                  Column("died", right=True), "redriven", Column("id", below=True))  # fmt: skip
    for record in records:
        redriven = shown(record.redriven[-1].at_ms) if record.redriven else ""
        table.add(
            shown(record.newest.failed_at_ms), ", ".join(record.reasons), ", ".join(record.jobs),
            f"{record.size:,}", str(record.deaths), redriven, record.dead_letter_id,
        )  # fmt: skip
    return table


@dlq.command()
@click.argument("dead_letter_id")
@click.option("--source", type=SOURCES, default="kafka", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, to edit and give back.")
def show(dead_letter_id: str, source: str, as_json: bool) -> None:
    """Everything known about one dead letter, and what can be done about it."""
    conf = load()
    record = _read(conf, source, {dead_letter_id}).get(dead_letter_id)
    if record is None:
        raise DlqError(_not_found(dead_letter_id, source))
    if as_json:
        click.echo(json.dumps(model.export(record, with_raw=True)))
        return
    click.echo(f"id             {record.dead_letter_id}")
    for failure in record.failures.values():
        task = f", task {failure.task_id}" if failure.task_id else ""
        click.echo(f"refused by     {failure.job} ({failure.stage}{task})")
        click.echo(f"  at           {shown(failure.failed_at_ms)}")
        click.echo(f"  reason       {failure.reason}: {failure.message}")
        click.echo(f"  contract     version {failure.schema_version}")
        if failure.exception:
            click.echo(f"  exception    {failure.exception}")
    for mark in record.redriven:
        click.echo(f"redriven       {shown(mark.at_ms)} by {mark.by}, to {mark.to or '?'}")
    raw = record.raw or b""
    if record.deaths > 1:
        click.echo(f"died           {record.deaths} times: it was put back and refused again")
    click.echo(f"raw            {record.size:,} bytes")
    document = model.document_of(raw)
    click.echo(hexdump(raw) if document is None else json.dumps(document, indent=2))
    click.echo()
    click.echo(advice(record, contracts(conf)))


def _not_found(dead_letter_id: str, source: str) -> str:
    other = "s3" if source == "kafka" else "kafka"
    return f"no dead letter {dead_letter_id} on {source}: see `tillstream dlq list`, or --source {other}"


def hexdump(raw: bytes, limit: int = 256) -> str:
    """The first ``limit`` bytes, 16 a line, with what is printable at the right."""
    lines = []
    for start in range(0, min(len(raw), limit), 16):
        part = raw[start : min(start + 16, limit)]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<47}  {text}")
    if len(raw) > limit:
        lines.append(f"... {len(raw) - limit:,} more bytes")
    return "\n".join(lines)


@dlq.command()
@click.argument("ids", nargs=-1)
@click.option("--reason", "reasons", multiple=True, help="All with this reason (may be repeated).")
@click.option("--all", "everything", is_flag=True, help="All not yet redriven.")
@click.option("--repaired", type=click.File("rb"), help="JSON lines of dead_letter_id and record.")
@click.option("--edit", is_flag=True, help="Repair the one ID in $EDITOR first.")
@click.option(
    "--source", type=SOURCES, default="kafka", show_default=True, help="Where to read them."
)
@click.option("--again", is_flag=True, help="Also those redriven already.")
@click.option("--conf", "pairs", multiple=True, metavar="KEY=VALUE",
              help="Over conf/; as in `job submit`, such as source.kind=kafka.")  # fmt: skip
@click.option("--by", default=None, help="Who, for the record [your user name].")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def redrive(
    ids: Sequence[str],
    reasons: Sequence[str],
    everything: bool,
    repaired: IO[bytes] | None,
    edit: bool,
    source: str,
    again: bool,
    pairs: tuple[str, ...],
    by: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Put dead letters back on the stream or topic they came from, each one checked first.

    What tills sent goes where intake reads. Where that is not where a dead letter came from it stays dead,
    unless --conf says source.kind. Exit code 1 if anything that was asked for stays dead.
    """
    if edit and (len(ids) != 1 or reasons or everything or repaired):
        raise click.UsageError("--edit takes exactly one ID, and no --reason, --all or --repaired")
    fixes = model.read_repaired(repaired) if repaired else {}
    if not (ids or reasons or everything or fixes):
        raise click.UsageError("say which: IDs, --reason, --all, or --repaired FILE")
    overrides = overrides_of(pairs)
    conf = load(overrides=overrides)
    many = bool(reasons or everything)
    records = _read(conf, source, None if many else {*ids, *fixes}, marks_needed=True)
    if missing := [one for one in (*ids, *fixes) if one not in records]:
        raise DlqError(_not_found(missing[0], source))
    wanted = {one: records[one] for one in (ids if many else (*ids, *fixes))}
    if many:
        found = model.choose(records.values(), reasons=reasons, with_redriven=again)
        wanted |= {record.dead_letter_id: record for record in found}
    if edit:
        fixes = {ids[0]: _edited(wanted[ids[0]], contracts(conf))}
    in_order = model.choose(wanted.values(), with_redriven=True)
    sendable, refused = model.judge_all(in_order, fixes, again, contracts(conf))
    elsewhere = _unread(conf, sendable, "kind" in overrides.get("source", {}))
    dead = {refusal.dead_letter_id for refusal in elsewhere}
    refused += elsewhere
    sendable = [one for one in sendable if one.dead_letter_id not in dead]
    for refusal in refused:
        click.echo(f"stays dead  {refusal.dead_letter_id}  {refusal.reason}: {refusal.message}")
    failed = _send(conf, sendable, by or getpass.getuser(), dry_run, yes)
    if refused or failed:
        sys.exit(1)


def _unread(conf: Conf, sendable: Sequence[Sendable], is_said: bool) -> list[Refusal]:
    """Those that would be put where intake may not read. ``is_said``: the operator says where it does.
    Raises DlqError where it is known to read elsewhere."""
    of_tills = [one for one in sendable if one.topic is None]
    stream = conf.source.stream
    if of_tills and (why := not_read(conf, stream)):
        raise DlqError(f"nothing was sent: {why}")
    if is_said or read_by_the_door(conf) == stream:  # wherever they came through
        return []
    return _from_elsewhere(of_tills, stream)


def _from_elsewhere(sendable: Sequence[Sendable], stream: str) -> list[Refusal]:
    """Of what tills sent, those that did not come through ``stream``: where they would be put nobody may
    read, and nothing would tell."""
    return [
        Refusal(
            one.dead_letter_id,
            "other_stream",
            f"it came through {came}, and these settings say that {stream} is read: --conf source.kind="
            f"{came.partition(':')[0]} if intake reads where it came through, --conf source.kind="
            f"{stream.partition(':')[0]} if it has moved to {stream} since",
        )
        for one in sendable
        if (came := model.stream_of(one.dead_letter_id)) not in ("", stream)
    ]


def _edited(record: DeadRecord, known: Mapping[str, Contract]) -> dict[str, Any]:
    """The record as its operator leaves it in $EDITOR, valid; asks again until it is or they stop."""
    raw = record.raw or b""
    document = model.document_of(raw)
    text = (
        json.dumps(document, indent=2)
        if document is not None
        else raw.decode("utf-8", "backslashreplace")
    )
    while True:
        text = click.edit(text, extension=".json", require_save=False) or ""
        if not text.strip():
            raise DlqError("nothing left to send: the editor was left empty")
        fixed = model.document_of(text.encode())
        if isinstance(fixed, dict):
            verdict = model.judge(record, fixed, True, known)
            if not isinstance(verdict, Refusal):
                return fixed
            problem = f"{verdict.reason}: {verdict.message}"
        else:
            problem = "not one JSON object"
        click.echo(problem, err=True)
        if not click.confirm("Edit again?", default=True, err=True):
            raise DlqError("not sent: it is still not valid")


def _send(conf: Conf, sendable: Sequence[Sendable], by: str, dry_run: bool, yes: bool) -> bool:
    """Whether anything fit to be sent was not."""
    from tillstream.dead_letters import send as dlq_send

    repaired = sum(one.repaired for one in sendable)
    if not sendable:
        click.echo("Nothing to send.")
        return False
    if dry_run:
        for one in sendable:
            what = "repaired" if one.repaired else "as it is"
            click.echo(f"would send  {one.dead_letter_id}  {one.transaction_id} {what}")
        click.echo(f"{len(sendable):,} to send ({repaired:,} repaired); nothing was sent.")
        return False
    where = sorted({one.topic for one in sendable}, key=lambda topic: topic or "")
    streams = {topic: dlq_send.open_source(conf, topic) for topic in where}
    names = ", ".join(stream.name for stream in streams.values())
    markers = dlq_send.open_markers(conf)
    if not yes:
        question = f"Send {len(sendable):,} records ({repaired:,} repaired) to {names}?"
        if not sys.stdin.isatty():
            raise DlqError(f"{question} There is no terminal to ask on: give --yes")
        click.confirm(question, abort=True)
    arrived = 0
    unmarked: list[str] = []
    for topic, stream in streams.items():
        of_this = [one for one in sendable if one.topic == topic]
        for batch in () if unmarked else dlq_send.redrive(of_this, stream, markers, by):
            arrived += sum(sent.error is None for sent in batch.sent)
            unmarked += batch.unmarked
            for sent in batch.sent:
                if sent.error:
                    click.echo(f"not sent    {sent.dead_letter_id}  {sent.error}")
    click.echo(f"{arrived:,} of {len(sendable):,} sent to {names}.")
    if unmarked:
        click.echo(
            f"{len(unmarked):,} of these could not be marked as redriven; stopped. The jobs drop a "
            "second sending, so redrive again once Kafka answers."
        )
    return arrived < len(sendable) or bool(unmarked)
