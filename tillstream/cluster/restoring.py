"""Why a savepoint does not restore, and what to do about it."""

from __future__ import annotations

# What Flink says -> what it means here, and the way out.
_MEANING = (
    (
        ("Cannot map checkpoint/savepoint state for operator",),
        "the savepoint has state of an operator that this job has not: its uid was changed, or the "
        "operator is gone. Put the uid back (tests/jobs/uids.json has those of the last release). "
        "Only if that state is to be lost: --allow-dropped-state",
    ),
    (
        ("Max parallelism mismatch", "maximum parallelism"),
        "job.max_parallelism is not the one the savepoint was taken with; it can never change. Set it "
        "back in conf/",
    ),
    (
        ("key serializer must be compatible", "new key serializer"),
        "the key's type has changed: state is filed by its bytes. Key by the old type again; a new "
        "key needs a new job, filled by a replay",
    ),
    (
        (
            "state serializer must not be incompatible",
            "new state serializer",
            "StateMigrationException",
        ),
        "a state's type has changed under its old name. Put the type of its descriptor back (bytes of "
        "our codec never need another); what they hold changes by a new version, see docs/state.md",
    ),
)


def advice(said: str) -> str | None:
    """What to do about a failed restore, by what the engine ``said``; None where it says it itself."""
    for marks, meaning in _MEANING:
        if any(mark in said for mark in marks):
            return meaning
    return None
