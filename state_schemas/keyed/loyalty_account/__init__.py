"""Keyed state of the loyalty job: one account for each customer.

The rules' ``Account`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.loyalty.ledger import Account
from tillstream.state_schemas.keyed.versioned import Codec

CODEC = Codec("loyalty_account", Account)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
