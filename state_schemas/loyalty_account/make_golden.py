"""Write the golden bytes of the current version, once, when it is released; never over an old file."""

from __future__ import annotations

import sys
from pathlib import Path

from state_schemas.loyalty_account import CURRENT, encode
from tillstream.domain.loyalty import Account, Pending, Posting

GOLDEN = Path(__file__).parent / "golden"

ACCOUNTS = {
    "new": Account(postings={}, pending={}),
    "one-sale": Account(1, 10, 1_764_000_000_000, -1, 1_764_000_000_000,
                        {"0045-03-20251124-000001":
                         Posting(1_764_000_000_000, 10_000, 0, 0, 1000, 10)}, {}),
    "redeemed-refunded-pending": Account(
        5, -3, 1_764_100_000_000, 1_761_000_000_000, 1_764_000_000_000,
        {
            "0045-03-20251124-000001": Posting(1_764_000_000_000, 20_000, 25, 5_000, 1000, 10),
            "0045-03-20251124-000002": Posting(1_764_100_000_000),
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


def main() -> None:
    for name, account in ACCOUNTS.items():
        path = GOLDEN / f"v{CURRENT}-{name}.bin"
        if path.exists():
            print(f"{path.name} is released and stays as it is", file=sys.stderr)
            continue
        path.write_bytes(encode(account))


if __name__ == "__main__":
    main()
