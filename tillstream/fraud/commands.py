"""tillstream fraud cases, show, confirm, release, staff; tillstream explain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click
import msgspec
import orjson

from tillstream import conf as settings
from tillstream.cli import tables
from tillstream.cli.sizes import money
from tillstream.cli.tables import Column, Table
from tillstream.cli.times import shown
from tillstream.fraud.cases import CaseError, Cases, effects
from tillstream.fraud.staff_cases import StaffCases

if TYPE_CHECKING:
    from tillstream.fraud.explain import Explanation

Row = Callable[[dict[str, Any]], Iterable[str]]


@click.group()
def fraud() -> None:
    """The review queue of the fraud job: a person decides about what it held."""


_limit = click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")


def _list(found: list[dict[str, Any]], limit: int, as_json: bool, table: Table, row: Row) -> None:
    """The open cases: a line of JSON each, or ``row`` of each in ``table`` and how many there are."""
    if as_json:
        for case in found:
            click.echo(orjson.dumps(case).decode())
        return
    for case in found:
        table.add(*row(case))
    if found:
        tables.show(table)
    click.echo(f"{len(found)} open" + (" (there may be more: --limit)" * (len(found) == limit)))


@fraud.command()
@_limit
@_json
def cases(limit: int, as_json: bool) -> None:
    """Open cases, oldest sale first."""
    table = Table(Column("transaction", below=True), "outcome", Column("score", right=True), "when",
                  "store", Column("amount", right=True), Column("reasons", prose=True))  # fmt: skip

    def row(case: dict[str, Any]) -> Iterable[str]:
        return (
            case["transaction_id"], case["outcome"], f"{case['score']:g}",
            shown(case["event_time_ms"]), f"{case['store']}",
            money(case["total_cents"], case["currency"]), case.get("reasons", "").replace(",", ", "),
        )  # fmt: skip

    _list(Cases(settings.load()).open(limit), limit, as_json, table, row)


@fraud.command()
@click.argument("transaction_id")
def show(transaction_id: str) -> None:
    """One case as it is now, and what it holds; `tillstream explain` says why."""
    cases = Cases(settings.load())
    case = cases.get(transaction_id)
    room = max(map(len, case)) + 2
    for name, value in sorted(case.items()):
        click.echo(f"{name:<{room}}{shown(value) if name.endswith('_ms') and value else value}")
    for name, told in effects(case, cases.pending(case)).items():
        click.echo(f"{name:<{room}}{told}")


def _decide(transaction_id: str, is_fraud: bool, change: bool, wait_s: float) -> None:
    said = Cases(settings.load()).decide(transaction_id, is_fraud, change, wait_s)
    if said.case is None:
        raise CaseError(
            f"the verdict is on the topic ({said.origin}), but the job has not closed the case within "
            f"{wait_s:.0f} s: see `tillstream job list`; it takes effect when the job runs"
        )
    click.echo(f"{transaction_id}: {said.case['status']} ({said.seconds:.1f} s)")


_change = click.option("--change", is_flag=True, help="Overrule an earlier verdict.")
_wait = click.option("--wait", "wait_s", default=10.0, show_default=True, help="Seconds.")


@fraud.command()
@click.argument("transaction_id")
@_change
@_wait
def confirm(transaction_id: str, change: bool, wait_s: float) -> None:
    """It is fraud: decline the held sale, watch the account, mark the card and the till."""
    _decide(transaction_id, True, change, wait_s)


@fraud.command()
@click.argument("transaction_id")
@_change
@_wait
def release(transaction_id: str, change: bool, wait_s: float) -> None:
    """It is honest: let the sale through, learn from it, end the watch it caused."""
    _decide(transaction_id, False, change, wait_s)


@fraud.group(invoke_without_command=True)
@_limit
@_json
@click.pass_context
def staff(context: click.Context, limit: int, as_json: bool) -> None:
    """Open cases about staff, oldest first: money given back, one loyalty number on many baskets."""
    if context.invoked_subcommand:
        return
    table = Table(Column("case", below=True), "store", "till", "cashier", "newest",
                  Column("figures", prose=True))  # fmt: skip

    def row(case: dict[str, Any]) -> Iterable[str]:
        figures = orjson.loads(case["figures"]).items()
        return (
            case["case_id"], f"{case['store']}", case["till"], case["cashier"],
            shown(case["event_time_ms"]), ", ".join(f"{name} {value}" for name, value in figures),
        )  # fmt: skip

    _list(StaffCases(settings.load()).open(limit), limit, as_json, table, row)


@staff.command("close")
@click.argument("case_id")
@click.option("--by", required=True, help="Who has looked into it.")
@click.option("--note", required=True, help="What came of it.")
def close_(case_id: str, by: str, note: str) -> None:
    """Close a case about staff. Nothing else follows from it: what to do is for people."""
    case = StaffCases(settings.load()).close(case_id, by, note)
    click.echo(f"{case_id}: {case['status']}")


@click.command()
@click.argument("transaction_id")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON.")
def explain(transaction_id: str, as_json: bool) -> None:
    """Why a transaction was held, sent to review or passed."""
    from tillstream.fraud.explain import explain as explained

    conf = settings.load()
    found = explained(conf, transaction_id)
    if found is None:
        raise CaseError(
            f"nothing is kept about {transaction_id}: it passed (fraud.explain: {conf.fraud.explain}), "
            f"is older than {conf.fraud.keep_days} days, or was never judged. The archive and the audit "
            "on S3 have more"
        )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    _show(found)


def _show(found: Explanation) -> None:
    from tillstream.fraud.explain import basket

    out, decision, came_in = tables.console(), found.decision, basket(found.transaction)
    watched = ", watched" if decision.watched else ""
    paid = f" by {came_in.paid_by}" if came_in.paid_by else ""
    tables.say(
        f"{decision.transaction_id}: {decision.outcome}, score {decision.score:g} (review at "
        f"{decision.review_at:g}, hold at {decision.hold_at:g}{watched}), rules {decision.rules_version}\n"
        f"came in: {money(decision.total_cents, decision.currency)}{paid} at "
        f"store {decision.store}, till {decision.till}, {shown(decision.event_time_ms)}, subject "
        f"{decision.subject or 'unknown'}, judged {shown(decision.judged_at_ms)}",
        out,
    )
    lines = came_in.lines[:10]
    if more := len(came_in.lines) - len(lines):
        lines.append(f"and {more:,} more")
    profile = ", ".join(f"{name} {value}" for name, value in decision.profile.items())
    tables.say(f"basket: {', '.join(lines)}\nprofile then: {profile or 'none'}", out)
    for note in decision.notes:
        click.echo(f"note: {note}")
    numbers = [Column(name, right=True) for name in ("value", "threshold", "points", "of")]
    table = Table("rule", "signal", *numbers, Column("only when", prose=True))
    for rule in sorted(found.rules, key=lambda rule: -abs(rule.points)):
        value = "not known" if rule.value is None else f"{rule.value:.4g}"
        table.add(
            rule.code, rule.signal, value, f"{rule.threshold:g}", f"{rule.points:.1f}",
            f"{rule.weight:g}", rule.when or "", style="bold" if rule.points else "dim",
        )  # fmt: skip
    tables.show(table, out)
    if found.shadow is not None:
        shadow = found.shadow
        click.echo(f"shadow {shadow.rules_version}: {shadow.outcome}, score {shadow.score:g}")
    for notice in found.notices:
        click.echo(f"notice {notice.kind}: {notice.notice_id}: {notice.state}")
    if found.case is not None:
        source = found.case.get("verdict_source")
        later = f", then {found.case['undone']} at a till" if found.case.get("undone") else ""
        click.echo(f"case: {found.case['status']}" + (f" by {source}" if source else "") + later)
