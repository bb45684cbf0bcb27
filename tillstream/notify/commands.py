"""``tillstream notify``: send notices once, and decide what cannot be known."""

from __future__ import annotations

import getpass
import json
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from tillstream.catalog import tables
from tillstream.conf import load
from tillstream.errors import Problem
from tillstream.notify.log import DECIDABLE, Logged, NotThere, SentLog


def _told(command: Callable[..., Any]) -> Callable[..., Any]:
    """Failures as one line on stderr."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError
        from confluent_kafka import KafkaException

        try:
            return command(*args, **kwargs)
        except Problem as error:
            raise click.ClickException(str(error)) from None
        except KafkaException as error:
            raise click.ClickException(
                f"Kafka: {error.args[0].str()}: see `tillstream status`, then try again"
            ) from None
        except (BotoCoreError, ClientError) as error:
            table = load().table(tables.SENT_NOTICES)
            raise click.ClickException(
                f"the log of sent notices, table {table}: {error}. `tillstream up` brings it locally;"
                " otherwise correct dynamodb in conf and the credentials"
            ) from None

    return wrapped


@click.group()
def notify() -> None:
    """Send notices once; list and decide what is uncertain."""


@notify.command()
@click.option("--sender", type=click.Choice(["sns", "file"]), help="Instead of conf's.")
@click.option(
    "--until-idle", type=click.FloatRange(min=0), metavar="S", help="End after S quiet seconds."
)
@_told
def run(sender: str | None, until_idle: float | None) -> None:
    """Send what jobs ask to be sent, each notice once, until Ctrl-C.

    Several may run at once. Ctrl-C lets what is being sent finish.
    """
    from tillstream.notify.notifier import Notifier
    from tillstream.notify.senders import open_sender
    from tillstream.notify.service import Service

    conf = load(overrides={"notify": {"sender": sender}} if sender else None)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
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
@click.option("--expired", is_flag=True, help="Too old to be sent when it came.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@_told
def list_(as_json: bool, **wanted: bool) -> None:
    """What is not sent and waits for a person, oldest first."""
    chosen = {status for status, on in wanted.items() if on} or set(DECIDABLE)
    found = [one for one in SentLog(load()).open() if one.status in chosen]
    if as_json:
        for one in found:
            click.echo(json.dumps(_export(one)))
        return
    console = Console() if sys.stdout.isatty() else Console(width=260, highlight=False)
    if found:
        table = Table("claimed at (UTC)", "status", "kind", "notice", "why")
        for one in found:
            kind = one.notice.kind if one.notice else ""
            table.add_row(_when(one.claimed_at_ms), one.status, kind, one.notice_id, one.detail)
        console.print(table)
    counts = Counter(one.status for one in found)
    click.echo(", ".join(f"{counts[s]:,} {s}" for s in DECIDABLE if s in chosen))
    if found:
        click.echo(
            "`tillstream notify resend ID` sends one, `tillstream notify dismiss ID` does not."
        )


@notify.command()
@click.argument("notice_id")
@_told
def show(notice_id: str) -> None:
    """All that is known of one notice, as JSON."""
    click.echo(json.dumps(_export(SentLog(load()).get(notice_id)), indent=2))


@notify.command()
@click.argument("notice_ids", nargs=-1, required=True, metavar="ID...")
@click.option("--by", help="Who decided; default: you.")
@click.option("--sender", type=click.Choice(["sns", "file"]), help="Instead of conf's.")
@_told
def resend(notice_ids: tuple[str, ...], by: str | None, sender: str | None) -> None:
    """Send notices that are uncertain, failed or expired, once more. One that was sent is refused."""
    from tillstream.notify.notifier import Notifier
    from tillstream.notify.senders import open_sender

    conf = load(overrides={"notify": {"sender": sender}} if sender else None)
    log = SentLog(conf)
    notifier = Notifier(conf, log, open_sender(conf))
    wrong = False
    for notice_id in notice_ids:
        try:
            notice, token = log.decide(notice_id, "claimed", by or getpass.getuser())
        except NotThere as error:
            click.echo(f"not sent  {error}", err=True)
            wrong = True
            continue
        outcome = notifier.send(notice, token, comes_again=False)
        click.echo(f"{outcome}  {notice_id}")
        wrong |= outcome != "sent"
    sys.exit(wrong)


@notify.command()
@click.argument("notice_ids", nargs=-1, required=True, metavar="ID...")
@click.option("--by", help="Who decided; default: you.")
@_told
def dismiss(notice_ids: tuple[str, ...], by: str | None) -> None:
    """Decide that notices which are uncertain, failed or expired shall not be sent any more."""
    log = SentLog(load())
    wrong = False
    for notice_id in notice_ids:
        try:
            log.decide(notice_id, "dismissed", by or getpass.getuser())
            click.echo(f"dismissed  {notice_id}")
        except NotThere as error:
            click.echo(f"not dismissed  {error}", err=True)
            wrong = True
    sys.exit(wrong)


def _export(one: Logged) -> dict[str, Any]:
    content = msgspec.to_builtins(one.notice) if one.notice else None
    return one._asdict() | {"notice": content}


def _when(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
