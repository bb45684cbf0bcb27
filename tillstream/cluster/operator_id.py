"""The name under which a savepoint keeps an operator's state: a hash of its uid."""

from __future__ import annotations

import mmh3


def operator_id(uid: str) -> str:
    """The operator's id in hex: MurmurHash3 (x64, 128 bits, seed 0) of the uid's UTF-8.

    As Flink makes it for an operator with a uid; savepoints of Flink 1.x hold the hash alone.
    """
    return mmh3.mmh3_x64_128_digest(uid.encode()).hex()
