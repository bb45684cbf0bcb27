"""The versions of the loyalty account, oldest first. The rules' ``Account`` is the newest of them."""

from __future__ import annotations

from tillstream.domain.loyalty.ledger import Account
from tillstream.state_schemas.keyed.loyalty_account import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout

CODEC = Codec("loyalty_account", Account, [Layout(1, v1.Account)])
