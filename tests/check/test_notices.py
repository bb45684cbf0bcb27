"""The check of sent notices: what the terms call for, and that it catches what is wrong."""

from __future__ import annotations

from collections import Counter

import pytest

from tillstream.check.notices import NoticeLog, called_for, compare
from tillstream.check.report import Report
from tillstream.check.rules import Sent, replay
from tillstream.check.sent import Truth

ALICE = "C0000000001"
SENT = [
    Sent("earns", "sale", 30_000, 0, None),
    Sent("granted", "sale", 10_000, 25, None),
    Sent("refused", "sale", 10_000, 500, None),
    Sent("back", "refund", 1_000, 0, "granted"),
]
GRANTED = f"points_redeemed:customer:{ALICE}:granted"
REFUSED = f"redemption_refused:customer:{ALICE}:refused"


def test_one_notice_a_redemption_granted_or_refused():
    assert called_for(ALICE, replay(SENT)) == {GRANTED, REFUSED}


@pytest.mark.parametrize(
    ("status", "outbox", "differs"),
    [
        ({GRANTED: "sent", REFUSED: "sent"}, {GRANTED: 1, REFUSED: 1}, None),
        ({GRANTED: "sent", REFUSED: "sent", "fraud:team:fraud:x": "sent"}, {}, None),
        ({GRANTED: "sent"}, {}, "was not sent"),
        ({GRANTED: "sent", REFUSED: "uncertain"}, {}, "is uncertain"),
        ({GRANTED: "sent", REFUSED: "sent"}, {GRANTED: 2}, "was sent 2 times"),
        (
            {GRANTED: "sent", REFUSED: "sent", f"points_redeemed:customer:{ALICE}:earns": "sent"},
            {},
            "nothing calls for it",
        ),
    ],
)
def test_what_is_missing_stuck_repeated_or_uncalled_for_is_found(status, outbox, differs):
    report = Report()
    truth = Truth(customers={ALICE: SENT})
    compare({GRANTED, REFUSED}, truth, NoticeLog(status, Counter(outbox)), report)
    assert report.ok == (differs is None)
    if differs:
        assert differs in report.differences[0].cause
