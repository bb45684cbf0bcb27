"""Putting records again that a stream did not take: one rule for all who send, without any client."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
    ``waits_s`` with those that failed and may yet be taken. No further attempt is begun once ``until`` is true."""
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
