"""``tillstream notify``: send notices once, and decide about those whose outcome is not known."""

from __future__ import annotations

import getpass
import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import click
import msgspec

from tillstream.cli import tables
from tillstream.cli.numbers import Finite
from tillstream.cli.stopping import stop_on_signal
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import shown
from tillstream.conf import load
from tillstream.notify.log import DECIDABLE, Logged, NotThere, SentLog


@click.group()
def notify() -> None:
    """Send notices once; list uncertain ones and decide about them."""


_ids = click.argument("notice_ids", nargs=-1, required=True, metavar="ID...")
_by = click.option("--by", help="Who decided; default: you.")
_sender = click.option(
    "--sender", type=click.Choice(["sns", "file"]), help="Instead of the one in conf."
)


@notify.command()
@_sender
@click.option(
    "--until-idle",
    type=Finite(min=0),
    metavar="S",
    help="End after S seconds without a notice.",
)
def run(sender: str | None, until_idle: float | None) -> None:
    """Send the notices that jobs ask for, each once, until Ctrl-C.

    Several may run at once. Ctrl-C lets what is being sent finish.
    """
    from tillstream.notify.notifier import Notifier
    from tillstream.notify.senders import open_sender
    from tillstream.notify.service import Service

    conf = load(overrides={"notify": {"sender": sender}} if sender else None)
    with stop_on_signal() as stop:
        notifier = Notifier(conf, SentLog(conf), open_sender(conf), stop)
        service = Service(conf, notifier, stop)
        try:
            service.run(until_idle, lambda outcomes: click.echo(_sums(outcomes)))
        finally:
            click.echo(_sums(service.outcomes))


def _sums(outcomes: Counter[str]) -> str:
    return ", ".join(f"{n:,} {what}" for what, n in sorted(outcomes.items())) or "no notices"


@notify.command("list")
@click.option("--uncertain", is_flag=True, help="It may have been sent.")
@click.option("--failed", is_flag=True, help="The sender refused it.")
@click.option("--expired", is_flag=True, help="It was too old when it came.")
@click.option("--waiting", is_flag=True, help="The sender took nothing; the next run may send it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def list_(as_json: bool, **wanted: bool) -> None:
    """Notices that were not sent and wait for a person to decide, oldest first."""
    chosen = {status for status, on in wanted.items() if on} or set(DECIDABLE)
    found = [one for one in SentLog(load()).open() if one.status in chosen]
    if as_json:
        for one in found:
            click.echo(json.dumps(_export(one)))
        return
    if found:
        table = Table("claimed at", "status", "kind", Column("why", prose=True),
                      Column("notice", below=True))  # fmt: skip
        for one in found:
            kind = one.notice.kind if one.notice else ""
            table.add(shown(one.claimed_at_ms), one.status, kind, one.detail, one.notice_id)
        tables.show(table)
    counts = Counter(one.status for one in found)
    click.echo(", ".join(f"{counts[s]:,} {s}" for s in DECIDABLE if s in chosen))
    if found:
        tables.say(
            "`tillstream notify resend ID` sends one, `tillstream notify dismiss ID` does not."
        )


@notify.command()
@click.argument("notice_id")
def show(notice_id: str) -> None:
    """Everything known about one notice, as JSON."""
    click.echo(json.dumps(_export(SentLog(load()).get(notice_id)), indent=2))


@notify.command()
@_ids
@_by
@_sender
def resend(notice_ids: tuple[str, ...], by: str | None, sender: str | None) -> None:
    """Send uncertain, failed, expired or waiting notices again. One that was sent is refused."""
    from tillstream.notify.notifier import Notifier
    from tillstream.notify.senders import open_sender

    conf = load(overrides={"notify": {"sender": sender}} if sender else None)
    log = SentLog(conf)
    notifier = Notifier(conf, log, open_sender(conf))

    def send(notice_id: str) -> str:
        notice, token = log.decide(notice_id, "claimed", by or getpass.getuser())
        return notifier.send(notice, token, comes_again=False)

    _each(notice_ids, send, "sent")


@notify.command()
@_ids
@_by
def dismiss(notice_ids: tuple[str, ...], by: str | None) -> None:
    """Decide that uncertain, failed, expired or waiting notices will not be sent."""
    log = SentLog(load())

    def drop(notice_id: str) -> str:
        log.decide(notice_id, "dismissed", by or getpass.getuser())
        return "dismissed"

    _each(notice_ids, drop, "dismissed")


def _each(notice_ids: tuple[str, ...], decide: Callable[[str], str], wanted: str) -> None:
    """Says what became of each notice; exit code 1 unless all are as ``wanted``."""
    wrong = False
    for notice_id in notice_ids:
        try:
            outcome = decide(notice_id)
        except NotThere as error:
            click.echo(f"not {wanted}  {error}", err=True)
            wrong = True
        else:
            click.echo(f"{outcome}  {notice_id}")
            wrong |= outcome != wanted
    sys.exit(wrong)


def _export(one: Logged) -> dict[str, Any]:
    content = msgspec.to_builtins(one.notice) if one.notice else None
    return one._asdict() | {"notice": content}
