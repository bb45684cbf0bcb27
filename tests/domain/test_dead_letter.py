"""A dead letter is JSON that both lines of Flink can read, however large the record."""

from __future__ import annotations

import base64

import orjson

from tillstream.domain.dead_letter import MOST_RAW, dead_letter
from tillstream.domain.envelope import seal, unseal


def test_of_a_record_too_large_for_a_letter_it_has_the_first_bytes_and_says_so():
    envelope = unseal(seal("kafka:tills/0/1", 5, b"x" * (MOST_RAW + 1)))
    letter = orjson.loads(dead_letter(envelope, "intake", "validate", "not_json", "bad", 1, 6))
    assert base64.b64decode(letter["raw_b64"]) == b"x" * MOST_RAW
    assert letter["message"] == f"bad (its first bytes of {MOST_RAW + 1})"
