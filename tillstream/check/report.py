"""What a check found: both sides' totals and where they differ."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

POLL_SECONDS = 2.0
SHOWN = 10  # differences kept; all are counted


@dataclass(frozen=True)
class Difference:
    where: str
    subject: str
    cause: str


@dataclass
class Report:
    """``totals``: name -> (recomputed, found). ``others``: what is of other runs or jobs, shown only.
    ``figures``: recomputed, and nowhere held. ``behind``: of each job that had not read all, how far it was;
    then differences mean nothing."""

    totals: dict[str, tuple[int, int]] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)
    figures: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    count: int = 0
    sent: int = 0
    seconds: float = 0.0
    behind: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.count == 0 and all(a == b for a, b in self.totals.values())

    def add(self, name: str, wanted: int, found: int) -> None:
        """To a total of each side."""
        before = self.totals.get(name, (0, 0))
        self.totals[name] = before[0] + wanted, before[1] + found

    def differ(self, where: str, subject: str, cause: str) -> None:
        self.count += 1
        if len(self.differences) < SHOWN:
            self.differences.append(Difference(where, subject, cause))


def until_equal(compare: Callable[[Report], object], sent: int, wait_seconds: float) -> Report:
    """Compares until equal, for ``wait_seconds`` at most: sinks come after the stream."""
    begun = time.monotonic()
    while True:
        report = Report(sent=sent)
        compare(report)
        report.seconds = time.monotonic() - begun
        if report.ok or report.seconds + POLL_SECONDS > wait_seconds:
            return report
        time.sleep(POLL_SECONDS)
