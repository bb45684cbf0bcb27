"""The review queue: cases in DynamoDB, and verdicts that go back to the job as labels.

The job alone writes cases. A verdict is a label on the topic of labels; the job takes it into
profiles and counters, ends the hold, and closes the case. So a replay ends in the same cases.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec

from tillstream.catalog import tables, topics
from tillstream.cli.sizes import money
from tillstream.cli.times import now_ms
from tillstream.clients import aws as clients
from tillstream.clients import items
from tillstream.conf import Conf
from tillstream.domain.fraud.decision import Label
from tillstream.errors import Problem
from tillstream.fraud.topics import put

OPEN_CASES = "open-cases"


class CaseError(Problem):
    """The case is not there or cannot be decided; the message says what to do."""


class Verdict(NamedTuple):
    """case: as the job closed it; None if it did not within the time allowed."""

    origin: str
    case: dict[str, Any] | None
    seconds: float


class Pending(NamedTuple):
    """Points of all held sales: in the customer's own account, and in the household's, None without one."""

    own: int
    household: int | None = None


# Cases of releases before this one do not say what was ordered.
_ORDERED = {"open": "hold", "confirmed": "decline", "released": "release"}


def effects(case: dict[str, Any], pending: Pending | None) -> dict[str, str]:
    """What follows from a hold while it stands and after: for points, revenue, stock. It goes by what was
    ordered last, for loyalty and sales hear of nothing else. ``pending`` as of `Cases.pending`."""
    if case.get("outcome") != "hold":
        return {}
    amount, status = money(case["total_cents"], case["currency"]), case["status"]
    ordered = case.get("ordered") or _ORDERED.get(status, "release")
    revenue = {"hold": f"{amount} held", "decline": f"{amount} lost"}.get(ordered, "none held")
    if ordered == "release" and status == "confirmed":
        revenue += ": what a bank says after a release reaches neither sales nor loyalty"
    told = {"revenue": revenue, "stock": "as sold, until the till sends a void or return"}
    if case.get("customer_id"):
        told["points"] = _points(pending)
    return told


def _points(pending: Pending | None) -> str:
    if pending is None:
        return "not known"
    if pending.household is None:
        return f"{pending.own:,} pending of all held sales of the customer"
    own = f", {pending.own:,} of the customer alone" if pending.own else ""
    return f"{pending.household:,} pending of all held sales of the household{own}"


def source_of(case: dict[str, Any]) -> str:
    """Of a verdict's label: hold, where there was one to be ended, though it was judged again since."""
    return "hold" if "hold" in (case["outcome"], case.get("held")) else "review"


class Cases:
    """Reads the table of cases; decides by way of the topic of labels. Raises botocore's errors."""

    def __init__(self, conf: Conf) -> None:
        self.conf = conf
        self.table = conf.table(tables.FRAUD_CASES)
        self._client = clients.dynamodb(conf)

    def open(self, limit: int) -> list[dict[str, Any]]:
        """Open cases, the oldest sale first."""
        return items.oldest(self._client, self.table, OPEN_CASES, limit)

    def get(self, transaction_id: str) -> dict[str, Any]:
        """Raises CaseError if there is none."""
        case = items.get(self._client, self.table, transaction_id=transaction_id)
        if case is None:
            raise CaseError(f"no case {transaction_id}: `tillstream fraud cases` lists them")
        return case

    def pending(self, case: dict[str, Any]) -> Pending | None:
        """Of the case's customer, and of the household that the customer is in: a sale of before they joined
        is in the customer's own account. None where the loyalty job has no account of them, or there is no
        such job."""
        if not (customer := case.get("customer_id")):
            return None
        item = self._balance(customer)
        if item is None:
            return None
        shared = self._balance(item["household"]) if item.get("household") else None
        household = None if shared is None else shared.get("pending", 0)
        return Pending(item.get("pending", 0), household)

    def _balance(self, account: str) -> dict[str, Any] | None:
        table = self.conf.table(tables.BALANCES)
        try:
            return items.get(self._client, table, customer_id=account)
        except self._client.exceptions.ResourceNotFoundException:
            return None

    def decide(
        self, transaction_id: str, fraud: bool, change: bool = False, wait_s: float = 10.0
    ) -> Verdict:
        """Sends a verdict and waits until the job has closed the case. Raises CaseError."""
        case = self.get(transaction_id)
        wanted = "confirmed" if fraud else "released"
        if case["status"] not in ("open", wanted) and not change:
            raise CaseError(
                f"case {transaction_id} was {case['status']} already: --change overrules that"
            )
        said_ms = now_ms()
        verdict = Label(
            transaction_id,
            fraud,
            case["event_time_ms"],
            said_ms,
            case["store"],
            case["till"],
            case.get("customer_id"),
            case.get("card_token"),
            source_of(case),
        )
        began = time.monotonic()
        topic = self.conf.topic(topics.FRAUD_LABELS)
        origin = put(self.conf, topic, transaction_id, msgspec.json.encode(verdict))
        closed = None
        while closed is None and time.monotonic() - began < wait_s:
            time.sleep(0.1)
            found = self.get(transaction_id)
            if found["status"] == wanted and found.get("verdict_at_ms") == said_ms:
                closed = found
        return Verdict(origin, closed, time.monotonic() - began)
