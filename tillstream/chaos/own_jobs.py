"""Jobs of one run, on a stack that may have others of the same names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tillstream.clients.storage import file_uri
from tillstream.cluster.local import LocalCluster
from tillstream.cluster.submissions import Submissions
from tillstream.local.stack import Stack


class OwnJobs(LocalCluster):
    """What they leave is in the run's folder: jobs of that name on the same stack, which are the user's,
    neither go on from it nor are gone on from."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        super().__init__(stack, file_uri(folder / "savepoints"))
        self.submissions = Submissions(folder / "jobs.jsonl")

    def _savepoints(self, name: str) -> Iterator[tuple[int, str]]:
        yield from self._complete(f"{self.savepoints_at}/{name}")
