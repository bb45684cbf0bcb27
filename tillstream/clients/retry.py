"""Putting records again that a stream did not take: one rule for all who send, without any client."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, TypeVar

# After the first attempt, which is made at once.
RETRY_AFTER_S = (0.1, 0.2, 0.4)
Keyed = tuple[str, bytes]  # key, record
T = TypeVar("T")


class Receipt(NamedTuple):
    """``origin``, as jobs name it, of a record that the stream has for good; else ``error``. final: as it is,
    the record will never be taken."""

    origin: str | None
    error: str | None
    final: bool = False


def put_again(
    put: Callable[[Sequence[T]], list[Receipt]],
    records: Sequence[T],
    waits_s: Sequence[float],
    sleep: Callable[[float], object] = time.sleep,
    until: Callable[[], bool] = lambda: False,
) -> list[Receipt]:
    """A receipt for each record, in the order given. ``put`` is asked at once, and again after each of
    ``waits_s`` with those that failed and may yet be taken; no further time once ``until`` is true."""
    receipts = [Receipt(None, "not sent")] * len(records)
    waiting = list(range(len(records)))
    for n, wait_s in enumerate((0, *waits_s)):
        if not waiting or (n and until()):
            break
        sleep(wait_s)
        for at, receipt in zip(waiting, put([records[at] for at in waiting]), strict=True):
            receipts[at] = receipt
        waiting = [at for at in waiting if receipts[at].error and not receipts[at].final]
    return receipts


class Backoff:
    """After an outage thousands of stores come back at once: without a spread they would come in step.

    ``failures`` in a row lead to waits of half to all of first_s, 2 first_s, 4 first_s, ... most_s."""

    def __init__(self, first_s: float, most_s: float, random: Random | None = None) -> None:
        self._first_s, self._most_s = first_s, max(first_s, most_s)
        self._random = random or Random()

    def wait_s(self, failures: int) -> float:
        """After the ``failures``-th failure in a row, counted from 1."""
        whole = min(self._first_s * 2 ** min(failures - 1, 40), self._most_s)
        return float(whole * self._random.uniform(0.5, 1))
