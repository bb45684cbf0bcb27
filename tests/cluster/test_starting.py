"""When a submitted run counts as started, and when the wait for it is given up."""

from __future__ import annotations

from typing import Any

import pytest

from tillstream.cluster.protocol import JobError
from tillstream.cluster.starting import Startup


class Rest:
    """A job of two tasks; each look at it takes ten seconds and finds the next pair of states."""

    def __init__(self, *looks: tuple[str, str]) -> None:
        self._looks = list(looks)
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    def job(self, job_id: str) -> dict[str, Any]:
        self.now_s += 10
        states = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        return {
            "name": "loyalty",
            "state": "RUNNING",
            "vertices": [{"status": state} for state in states],
        }

    def exceptions(self, job_id: str, since_ms: int = 0) -> list[str]:
        return []


def seconds_until_over(rest: Rest, timeout_s: float = 45) -> float:
    start = Startup(rest, "4711", timeout_s, rest.clock)  # type: ignore[arg-type]
    while not start.is_over():
        pass
    return rest.now_s


def test_a_job_that_reads_much_state_may_take_longer_than_the_time_out():
    restoring = [("RUNNING", "INITIALIZING")] * 30
    assert seconds_until_over(Rest(*restoring, ("RUNNING", "RUNNING"))) > 300


def test_each_further_task_that_starts_begins_the_time_out_again():
    slow = [("SCHEDULED", "SCHEDULED")] * 4 + [("RUNNING", "SCHEDULED")] * 4
    assert seconds_until_over(Rest(*slow, ("RUNNING", "RUNNING"))) > 80


def test_a_job_that_gets_no_slot_is_given_up_though_it_is_scheduled_again_and_again():
    rest = Rest(*[("SCHEDULED", "CREATED"), ("CREATED", "CREATED")] * 20)
    with pytest.raises(JobError, match="loyalty does not run: no further task started for 45 s"):
        seconds_until_over(rest)
    assert rest.now_s == 50
