"""tillstream fraud cases, show, confirm, release; tillstream explain."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import click
import msgspec
import orjson
from rich.console import Console
from rich.table import Table

from tillstream import conf as settings
from tillstream.fraud.cases import CaseError, Cases
from tillstream.fraud.topics import TopicError


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Failures as one line on stderr, exit code 1."""
    try:
        yield
    except (CaseError, TopicError, settings.ConfError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def when(ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(ms / 1000))


def money(cents: int, currency: str) -> str:
    return f"{cents / 100:,.2f} {currency}"


@click.group()
def fraud() -> None:
    """The review queue of the fraud job: a person decides about what it holds."""


@fraud.command()
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def cases(limit: int, as_json: bool) -> None:
    """Open cases, the oldest sale first."""
    with told():
        found = Cases(settings.load()).open(limit)
    if as_json:
        for case in found:
            click.echo(orjson.dumps(case).decode())
        return
    table = Table("transaction", "outcome", "score", "when", "store", "amount", "reasons")
    for case in found:
        table.add_row(
            case["transaction_id"], case["outcome"], f"{case['score']:g}",
            when(case["event_time_ms"]), f"{case['store']}",
            money(case["total_cents"], case["currency"]), case.get("reasons", ""),
        )  # fmt: skip
    console().print(table)
    click.echo(f"{len(found)} open" + (" (there may be more: --limit)" * (len(found) == limit)))


@fraud.command()
@click.argument("transaction_id")
def show(transaction_id: str) -> None:
    """One case as it stands; `tillstream explain` says why."""
    with told():
        case = Cases(settings.load()).get(transaction_id)
        if case is None:
            raise CaseError(f"no case {transaction_id}: `tillstream fraud cases` lists them")
    table = Table.grid(padding=(0, 2))
    for name, value in sorted(case.items()):
        shown = when(value) if name.endswith("_ms") and value else str(value)
        table.add_row(name, shown)
    console().print(table)


def _decide(transaction_id: str, is_fraud: bool, change: bool, wait_s: float) -> None:
    with told():
        said = Cases(settings.load()).decide(transaction_id, is_fraud, change, wait_s)
    if said.case is None:
        click.echo(
            f"error: the verdict is on the topic ({said.origin}), but the job has not closed the "
            f"case within {wait_s:.0f} s: see `tillstream job list`; it is taken when the job runs",
            err=True,
        )
        sys.exit(1)
    click.echo(f"{transaction_id}: {said.case['status']} ({said.seconds:.1f} s)")


_change = click.option("--change", is_flag=True, help="Overrule an earlier verdict.")
_wait = click.option("--wait", "wait_s", default=10.0, show_default=True, help="Seconds.")


@fraud.command()
@click.argument("transaction_id")
@_change
@_wait
def confirm(transaction_id: str, change: bool, wait_s: float) -> None:
    """It is fraud: decline what is held, watch the account, mark card and till."""
    _decide(transaction_id, True, change, wait_s)


@fraud.command()
@click.argument("transaction_id")
@_change
@_wait
def release(transaction_id: str, change: bool, wait_s: float) -> None:
    """It is honest: let it through, learn from it, end the watch it caused."""
    _decide(transaction_id, False, change, wait_s)


@click.command()
@click.argument("transaction_id")
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def explain(transaction_id: str, as_json: bool) -> None:
    """Why a transaction was held, reviewed or let pass."""
    from tillstream.fraud.explain import explain as explained

    with told():
        conf = settings.load()
        found = explained(conf, transaction_id)
    if found is None:
        click.echo(
            f"error: nothing hot about {transaction_id}: it passed (fraud.explain: "
            f"{conf.fraud.explain}), is older than {conf.fraud.keep_days} days, or was never judged. "
            "The archive and the audit on S3 have more",
            err=True,
        )
        sys.exit(1)
    if as_json:
        whole = {**found._asdict(), "decision": msgspec.to_builtins(found.decision)}
        whole["shadow"] = msgspec.to_builtins(found.shadow)
        whole["rules"] = [line._asdict() for line in found.rules]
        whole["notices"] = [line._asdict() for line in found.notices]
        click.echo(orjson.dumps(whole, option=orjson.OPT_INDENT_2).decode())
        return
    _show(found)


def _show(found: Any) -> None:
    out, decision, sale = console(), found.decision, found.transaction
    out.print(
        f"{decision.transaction_id}: [bold]{decision.outcome}[/bold], score {decision.score:g} "
        f"(review at {decision.review_at:g}, hold at {decision.hold_at:g}"
        f"{', watched' if decision.watched else ''}), rules {decision.rules_version}"
    )
    out.print(
        f"came in: {money(decision.total_cents, decision.currency)} by {sale['payment_method']} at "
        f"store {decision.store}, till {decision.till}, {when(decision.event_time_ms)}, subject "
        f"{decision.subject or 'nobody known'}, judged {when(decision.judged_at_ms)}"
    )
    pieces = (f"{line['quantity']} x {line['category']}" for line in sale["lines"][:10])
    out.print(f"basket: {', '.join(pieces)}")
    profile = ", ".join(f"{name} {value}" for name, value in decision.profile.items())
    out.print(f"profile then: {profile or 'none'}")
    table = Table("rule", "signal", "value", "threshold", "points", "of", "only when")
    for line in sorted(found.rules, key=lambda line: -abs(line.points)):
        value = "not known" if line.value is None else f"{line.value:.4g}"
        style = "bold" if line.points else "dim"
        table.add_row(
            line.code, line.signal, value, f"{line.threshold:g}", f"{line.points:.1f}",
            f"{line.weight:g}", line.when or "", style=style,
        )  # fmt: skip
    out.print(table)
    if found.shadow is not None:
        shadow = found.shadow
        out.print(f"shadow {shadow.rules_version}: {shadow.outcome}, score {shadow.score:g}")
    for line in found.notices:
        out.print(f"notice {line.kind}: {line.notice_id}: {line.state}")
    if found.case is not None:
        case = found.case
        said = f" by {case['verdict_source']}" if "verdict_source" in case else ""
        out.print(f"case: {case['status']}{said}")
