"""The versions of the loyalty account, oldest first. The rules' ``Account`` is the newest of them."""

from __future__ import annotations

from state_schemas.loyalty_account import v1
from state_schemas.versioned import Codec, Layout
from tillstream.domain.loyalty import Account

CODEC = Codec("loyalty_account", Account, [Layout(1, v1.Account)])
