"""Keyed state of the fraud job: what a cashier did of late.

The rules' ``Book`` is its newest version.
"""

from __future__ import annotations

from tillstream.domain.staff import Book
from tillstream.state_schemas.keyed.versioned import Codec

CODEC = Codec("fraud_staff", Book)
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
