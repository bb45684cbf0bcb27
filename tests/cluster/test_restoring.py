"""What the engine says when a savepoint does not restore, in words that help."""

from __future__ import annotations

import pytest

from tillstream.cluster.restoring import advice

SAID = {
    "Put the uid back": "java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint "
    "file:/s. Cannot map checkpoint/savepoint state for operator 0a64c0d6 to the new program, because "
    "the operator is not available in the new program.",
    "job.max_parallelism": "java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint "
    "file:/s. Max parallelism mismatch between checkpoint/savepoint state and new program.",
    "Key by the old type": "org.apache.flink.util.StateMigrationException: The new key serializer "
    "(LongSerializer) must be compatible with the previous key serializer (RowSerializer).",
    "by a new version": "org.apache.flink.util.StateMigrationException: The new state serializer "
    "(StringSerializer) must not be incompatible with the old state serializer (Bytes).",
}


@pytest.mark.parametrize("remedy", SAID)
def test_a_failed_restore_names_its_remedy(remedy):
    assert remedy in (advice(SAID[remedy]) or "")


def test_other_failures_speak_for_themselves():
    assert advice("loyalty_account state has version 2, this release reads up to 1") is None
