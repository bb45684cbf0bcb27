"""Another release of this package under a running stack: copies of it, of which the stack's processes load
the one that a link leads to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tillstream.conf import PACKAGE
from tillstream.local.layout import CODE

LEFT_OUT = shutil.ignore_patterns("__pycache__", "target", ".*")
# Each says who loads it, so that it can be seen that the new one is loaded and not the old.
SAYS = """
import os as _os

with open({loaded!r}, "a") as _said:
    _said.write(f"{{_os.getpid()}}\\n")
"""


class Releases:
    """Copies below ``folder``. ``number``: of the newest, 0 for none."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.number = folder, 0
        self.link = folder / "release"

    def prepare(self) -> None:
        """The first one, which processes and jobs take that start from now on."""
        self.next()
        os.environ[CODE] = str(self.link)

    def next(self) -> int:
        """Makes another, and leads the link to it; its number."""
        self.number += 1
        root = self._folder / f"release-{self.number}"
        shutil.copytree(PACKAGE, root / PACKAGE.name, ignore=LEFT_OUT)
        with (root / PACKAGE.name / "__init__.py").open("a") as entry:
            entry.write(SAYS.format(loaded=str(self._loaded)))
        aside = self.link.with_suffix(".new")
        aside.symlink_to(root, target_is_directory=True)
        aside.replace(self.link)
        return self.number

    def job_file(self, job: str) -> Path | None:
        """The job of the newest release; None if there is none, so that it is this package's."""
        return self.link / PACKAGE.name / "jobs" / f"{job}.py" if self.number else None

    def loaded_by(self) -> set[int]:
        """Processes that have loaded the newest one."""
        if not self._loaded.exists():
            return set()
        return set(map(int, self._loaded.read_text().split()))

    @property
    def _loaded(self) -> Path:
        return self._folder / f"release-{self.number}.loaded"
