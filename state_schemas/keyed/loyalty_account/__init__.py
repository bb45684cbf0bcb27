"""Keyed state of the loyalty job: one account for each customer.

The rules' ``Account`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.loyalty.account import Account
from tillstream.state_schemas.keyed.loyalty_account import v1, v2, v3, v4
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec(
    "loyalty_account",
    Account,
    [
        Layout(1, v1.Account),
        Layout(2, v2.Account, v2.upgrade, v2.downgrade),
        Layout(3, v3.Account, v3.upgrade, v3.downgrade),
        Layout(4, Account, v4.upgrade, v4.downgrade),
    ],
)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
