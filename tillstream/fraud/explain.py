"""Why a transaction was judged as it was: from two hot tables and the topic of rules, in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from tillstream.catalog import tables
from tillstream.clients import aws as clients
from tillstream.clients import items
from tillstream.conf import Conf
from tillstream.domain.fraud.actions import notices_of
from tillstream.domain.fraud.decision import TOO_LATE, Decision
from tillstream.domain.fraud.ruleset import RuleSet
from tillstream.domain.fraud.sale import Receipt, made_of
from tillstream.domain.receipt.product import printed
from tillstream.errors import Unreachable
from tillstream.fraud.rule_sets import of_version
from tillstream.fraud.rules_file import packaged_rules

_decision = msgspec.json.Decoder(Decision).decode


class RuleLine(msgspec.Struct, frozen=True):
    """One rule of the set that judged. value: None if it could not be measured. points: given."""

    code: str
    signal: str
    value: float | None
    threshold: float
    weight: float
    points: float
    when: str | None


class NoticeLine(msgspec.Struct, frozen=True):
    """state: what the notifier knows, or ``not sent yet``."""

    notice_id: str
    kind: str
    state: str


class Explanation(msgspec.Struct, frozen=True):
    """All that is hot of one transaction. transaction: as the front door wrote it, or of contract v1 where
    release 0.1.0 judged it; of a very long one what the rules go by, with a mark ``cut_from_bytes``."""

    transaction: dict[str, Any]
    decision: Decision
    shadow: Decision | None
    rules: list[RuleLine]
    notices: list[NoticeLine]
    case: dict[str, Any] | None


class Basket(NamedTuple):
    """What came in, for people: how it was paid, "" if nobody knows, and each line."""

    paid_by: str
    lines: list[str]


def basket(transaction: dict[str, Any]) -> Basket:
    """Of an `Explanation`'s transaction, in either form."""
    if "payment_method" in transaction:  # contract v1
        lines = [f"{line['quantity']} x {line['category']}" for line in transaction["lines"]]
        return Basket(_words(transaction["payment_method"]), lines)
    sale = made_of(msgspec.convert(transaction, Receipt))
    return Basket(_words(sale.payment_method), list(map(_line, transaction["lines"])))


def _line(line: dict[str, Any]) -> str:
    """``2 x bakery``; ``0.532 kg of produce``; ``return: -1 x 6001234567890``."""
    unit = line.get("unit", "each")
    quantity = f"{line.get('thousandths', 1000) / 1000:,.3f}".rstrip("0").rstrip(".")
    what = line.get("category") or printed(line.get("product", "")) or "something"
    kind = "" if line["kind"] == "sale" else f"{_words(line['kind'])}: "
    return f"{kind}{quantity} {'x' if unit == 'each' else f'{unit} of'} {what}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def explain(conf: Conf, transaction_id: str) -> Explanation | None:
    """None if nothing is hot of it: it passed, is older than is kept, or was never seen."""
    client = clients.dynamodb(conf)
    kept = conf.table(tables.FRAUD_EXPLANATIONS)
    item = items.get(client, kept, transaction_id=transaction_id)
    if item is None:
        return None
    decision = _decision(item["decision"])
    return Explanation(
        json.loads(item["transaction"]),
        decision,
        _decision(item["shadow"]) if item.get("shadow") else None,
        list(_rules(conf, decision)),
        list(_notices(client, conf.table(tables.SENT_NOTICES), decision)),
        items.get(client, conf.table(tables.FRAUD_CASES), transaction_id=transaction_id),
    )


def _rules(conf: Conf, decision: Decision) -> Iterator[RuleLine]:
    """Every rule of the version that judged; only those that fired if that version is not found."""
    fired = {reason.code: reason for reason in decision.reasons}
    rules = _rules_of(conf, decision.rules_version)
    if rules is None:
        for r in decision.reasons:
            yield RuleLine(r.code, r.signal, r.value, r.threshold, r.weight, r.points, None)
        return
    for rule in rules.rules:
        reason = fired.get(rule.code)
        value = reason.value if reason else decision.signals.get(rule.measured)
        points = reason.points if reason else 0.0
        yield RuleLine(
            rule.code, rule.measured, value, rule.threshold, rule.weight, points, rule.when
        )
    if (late := fired.get(TOO_LATE)) is not None:
        yield RuleLine(late.code, late.signal, late.value, late.threshold, 0.0, 0.0, None)


def _rules_of(conf: Conf, version: str) -> RuleSet | None:
    packaged = packaged_rules().rules.data
    if packaged.version == version:
        return packaged
    try:
        return of_version(conf, version)
    except Unreachable:
        return None


def _notices(client: Any, table: str, decision: Decision) -> Iterator[NoticeLine]:
    if decision.outcome == "pass":
        return
    for notice in notices_of(decision):
        item = items.get(client, table, notice_id=notice.notice_id)
        state = str(item.get("status", "known")) if item else "not sent yet"
        yield NoticeLine(notice.notice_id, notice.kind, state)
