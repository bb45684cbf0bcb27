"""Compares the log of sent notices with what the loyalty terms call for: one notice a redemption."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tillstream.check.report import Report
from tillstream.check.rules import Step
from tillstream.check.sent import Truth

OF_LOYALTY = ("points_redeemed", "redemption_refused")


class NoticeLog(NamedTuple):
    """``status`` by notice id; ``outbox``: how often each id is in the file sender's file."""

    status: dict[str, str]
    outbox: Counter[str]


def called_for(customer: str, steps: list[Step]) -> set[str]:
    """Ids of the notices that one customer's ledger entries call for."""
    found = set()
    for step in steps:
        if step.kind == "sale" and (step.redeemed or step.outcome == "redemption_refused"):
            template = "points_redeemed" if step.redeemed else "redemption_refused"
            found.add(f"{template}:customer:{customer}:{step.entry_id}")
    return found


def compare(wanted: set[str], truth: Truth, log: NoticeLog, report: Report) -> None:
    """Each wanted notice is sent, none twice, none that nothing calls for."""
    others = matched = 0
    for notice_id, status in log.status.items():
        template, _, customer, *_ = [*notice_id.split(":", 3), "", ""]
        if template not in OF_LOYALTY or customer not in truth.customers:
            others += 1
        elif notice_id not in wanted:
            report.differ("notices", notice_id, f"{status}, but nothing calls for it")
        elif status != "sent" and not (status == "dismissed" and log.outbox[notice_id]):
            # A person may dismiss what was sent and only not marked so.
            report.differ("notices", notice_id, f"is {status}, must be sent")
        else:
            matched += 1
    for notice_id in sorted(wanted - log.status.keys()):
        report.differ("notices", notice_id, "was not sent")
    for notice_id, count in log.outbox.items():
        if count > 1:
            report.differ("notices", notice_id, f"was sent {count} times")
    report.add("notices sent", len(wanted), matched)
    report.others["notices"] = others
