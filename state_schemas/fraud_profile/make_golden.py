"""Write the golden bytes of the current version, once, when it is released; never over an old file."""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path

from state_schemas.fraud_profile import CURRENT, encode
from tillstream.domain.fraud import (
    Facts,
    Label,
    Profile,
    apply_label,
    judge,
    load_rules,
    packaged_places,
)
from tillstream.domain.transaction import Line, Transaction

RULES = b"""{"schema": 1, "version": "golden", "review_at": 50, "hold_at": 80, "rules":
  [{"code": "gift_cards", "signal": "product.gift_pieces", "threshold": 5, "weight": 90}]}"""
GOLDEN = Path(__file__).parent / "golden"
T0 = 1_764_000_000_000
DAY_MS = 86_400_000


def states() -> dict[str, Profile]:
    rules = load_rules(RULES, packaged_places())
    made: dict[str, Profile] = {}
    profile: Profile | None = None
    for n in range(12):
        held = n == 11
        pieces, cents = (10, 50_000) if held else (1, 30_000 + n * 1_000)
        category = "gift-cards" if held else "groceries"
        sale = Transaction(
            schema=1, transaction_id=f"0023-04-2025-{n:06d}", store=156 if held else 23,
            region="western-cape", till=4, payment_method="mobile" if held else "card",
            event_time_ms=T0 + n * DAY_MS + (8 * 3_600_000 if held else 0), currency="ZAR",
            lines=(Line("6001234567890", pieces, cents, category),), total_cents=pieces * cents,
            kind="sale", customer_id="C0000012345",
            card_token=None if held else "tok_a1b2c3d4e5f6g7h8",
        )  # fmt: skip
        at_ms = sale.event_time_ms
        profile, _ = judge(profile, sale, Facts(None, None), rules, at_ms)
        assert profile is not None
        if n == 0:
            made["one-sale"] = deepcopy(profile)
        if n == 5:
            apply_label(
                profile,
                Label(sale.transaction_id, True, at_ms, at_ms + DAY_MS, 23, 4, sale.customer_id,
                      sale.card_token),
                rules,
            )  # fmt: skip
    assert profile is not None
    return made | {"held-watched-defrauded": profile}


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, state in states().items():
        path = GOLDEN / f"v{CURRENT}-{name}.bin"
        if path.exists():
            print(f"{path.name} is released and stays as it is", file=sys.stderr)
            continue
        path.write_bytes(encode(state))


if __name__ == "__main__":
    main()
