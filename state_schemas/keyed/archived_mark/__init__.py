"""Keyed state of whoever must know an id again: one mark for each, while a repeat is to be known."""

from __future__ import annotations

import msgspec

from tillstream.state_schemas.keyed.archived_mark import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout


class Mark(msgspec.Struct, array_like=True, gc=False):
    """This id has come. fingerprint: of ``domain.content``. Empty where whatever comes is taken for a repeat:
    in the archive, and where a release wrote the mark that kept none."""

    fingerprint: bytes


def _upgrade(old: v1.Mark) -> Mark:
    return Mark(b"")


def _downgrade(new: Mark) -> v1.Mark:
    return v1.Mark()


CODEC = Codec("archived_mark", Mark, [Layout(1, v1.Mark), Layout(2, Mark, _upgrade, _downgrade)])
