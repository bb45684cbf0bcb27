"""Keyed state of the fraud job: what cashiers' days in a store come to.

The rules' ``StoreBook`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.staff import StoreBook
from tillstream.state_schemas.keyed.versioned import Codec

CODEC = Codec("fraud_store", StoreBook)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
