"""Keyed state of the fraud job: what a cashier did of late.

The rules' ``Book`` is its newest version.
"""

from __future__ import annotations

from msgspec.structs import astuple

from tillstream.domain.staff import Book
from tillstream.state_schemas.keyed.fraud_staff import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout


def _upgrade(old: v1.Book) -> Book:
    return Book(*astuple(old))


def _downgrade(new: Book) -> v1.Book:
    return v1.Book(*astuple(new)[:-1])


CODEC = Codec("fraud_staff", Book, [Layout(1, v1.Book), Layout(2, Book, _upgrade, _downgrade)])
CURRENT, encode, decode = CODEC.current, CODEC.encode, CODEC.decode
