"""Keyed state of the archive job: one mark for each transaction id, while a repeat is to be known."""

from __future__ import annotations

import msgspec

from tillstream.state_schemas.keyed.archived_mark import v1
from tillstream.state_schemas.keyed.versioned import Codec, Layout


class Mark(msgspec.Struct, array_like=True, gc=False):
    """This transaction id is in the archive. fingerprint: of ``domain.content``, empty where a release
    wrote the mark that kept none: such a one takes whatever comes for a repeat."""

    fingerprint: bytes


def _upgrade(old: v1.Mark) -> Mark:
    return Mark(b"")


def _downgrade(new: Mark) -> v1.Mark:
    return v1.Mark()


CODEC = Codec("archived_mark", Mark, [Layout(1, v1.Mark), Layout(2, Mark, _upgrade, _downgrade)])
