"""Accounts as each version can hold them, from which its golden bytes were made. Append-only."""

from __future__ import annotations

from tillstream.domain.loyalty import account
from tillstream.domain.loyalty.held import Word
from tillstream.domain.loyalty.holds import Hold
from tillstream.state_schemas.keyed.loyalty_account import v2, v3
from tillstream.state_schemas.keyed.loyalty_account.v1 import Account, Pending, Posting

V1 = {
    "new": Account(0, 0, 0, -1, 0, {}, {}),
    "one-sale": Account(
        1, 10, 1_764_000_000_000, -1, 1_764_000_000_000,
        {"0045-03-20251124-000001": Posting(1_764_000_000_000, 10_000, 0, 0, 1000, 10)},
        {},
    ),
    "redeemed-refunded-pending": Account(
        5, -3, 1_764_100_000_000, 1_761_000_000_000, 1_764_000_000_000,
        {
            "0045-03-20251124-000001": Posting(1_764_000_000_000, 20_000, 25, 5_000, 1000, 10),
            "0045-03-20251124-000002": Posting(1_764_100_000_000, 0, 0, 0, 0, 0),
        },
        {
            "2900-99-20251124-999999": [
                Pending("0045-03-20251124-000002", 1_764_100_000_000, "void", None,
                           15_000, 45, "western-cape"),
                Pending("0045-03-20251124-000003", 1_764_100_000_000, "refund", 15_000,
                           15_000, 45, "western-cape"),
            ]
        },
    ),
}  # fmt: skip

V2 = {
    "new": v2.Account(0, 0, 0, -1, 0, {}, {}),
    "gift-card-and-bread-partly-refunded-and-pending": v2.Account(
        3, 4, 1_764_000_000_000, -1, 1_764_000_000_000,
        {"0045-03-20251124-000001": v2.Posting(
            1_764_000_000_000, 60_000, 0, 11_000, 1000, 10, 50_000, 10_000)},
        {"0045-03-20251124-000002": [v2.Pending(
            "0045-03-20251124-000003", 1_764_000_000_000, "refund", 6_000, 6_000, 45,
            "western-cape", 5_000)]},
    ),
}  # fmt: skip

V3 = {
    "new": v3.Account(0, 0, 0, -1, 0, {}, {}),
    "returned-undone-and-a-void-that-waits": v3.Account(
        4, 10, 1_764_000_000_000, -1, 1_764_000_000_000,
        {
            "0045-03-20251124-000001": v3.Posting(
                1_764_000_000_000, 10_000, 0, 0, 1000, 10, 500, 0),
            "0045-03-20251124-000002": v3.Posting(
                1_764_000_000_000, 4_000, 0, 4_000, 0, 0, 500, 0, "0045-03-20251124-000001"),
            "0045-03-20251124-000003": v3.Posting(1_764_000_000_000),
        },
        {"0045-03-20251124-000002": [v3.Pending(
            "0045-03-20251124-000003", 1_764_000_000_000, "void", None, 4_000, 45,
            "western-cape", 0)]},
        {
            "0045-03-20251124-000004": v3.Hold(
                "0045-03-ask-000001", 1_764_000_000_000, 7, 1_764_000_600_000, "", 10, 3),
            "0045-03-20251124-000005": v3.Hold(
                "0045-03-ask-000002", 1_764_000_000_000, 0, 1_764_000_600_000,
                "insufficient_balance", 10, 3),
        },
    ),
}  # fmt: skip

V4 = {
    "new": account.Account(0, 0, 0, -1, 0, {}, {}, {}, {}),
    "held-fraud-and-a-word-that-waits": account.Account(
        5, 20, 1_764_000_000_000, -1, 1_764_000_000_000,
        {
            "0045-03-20251124-000001": account.Posting(
                1_764_000_000_000, 10_000, 0, 0, 1000, 10, 500, 0),
            "0045-03-20251124-000002": account.Posting(
                1_764_000_000_000, 20_000, 5, 1_000, 1000, 10),
        },
        {"0045-03-20251124-000009": [account.Pending(
            "0045-03-20251124-000003", 1_764_000_000_000, "void", None, 4_000, 45,
            "western-cape", 0)]},
        {"0045-03-20251124-000004": Hold(
            "0045-03-ask-000001", 1_764_000_000_000, 7, 1_764_000_600_000, "", 10, 3)},
        {
            "0045-03-20251124-000001": Word(
                "hold", 1_764_000_000_500, 1_764_000_000_000, 45, "western-cape", "ZAR"),
            "0045-03-20251124-000002": Word(
                "decline", 1_764_000_900_000, 1_764_000_000_000, 45, "western-cape", "ZAR"),
            "0045-03-20251124-000005": Word(
                "release", 1_764_000_900_000, 1_764_000_000_000, 45),
        },
    ),
}  # fmt: skip

SAMPLES = {1: V1, 2: V2, 3: V3, 4: V4}
