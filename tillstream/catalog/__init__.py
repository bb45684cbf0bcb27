"""The catalogue: every job, topic, table and history. All that several rooms know of a job is here."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tillstream.errors import Problem

if TYPE_CHECKING:
    from tillstream.catalog.entry import Job

# Of apache-beam, which comes with PyFlink; nothing here can change it.
warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)

JOBS_FOLDER = Path(__file__).resolve().parent.parent / "jobs"
DOOR = "intake"  # the one job that reads what tills send; all others read what it writes


class UnknownJob(Problem):
    """There is no job of that name."""


def names() -> list[str]:
    """Names of all jobs: jobs/<name>.py each."""
    return sorted(file.stem for file in JOBS_FOLDER.glob("[a-z]*.py"))


def job(name: str) -> Job:
    """The entry of jobs/<name>.py, which imports PyFlink. Raises UnknownJob."""
    if name not in names():
        raise UnknownJob(f"there is no job {name}: there are {', '.join(names())}")
    entry: Job = importlib.import_module(f"tillstream.jobs.{name}").JOB
    assert entry.name == name, f"jobs/{name}.py: its entry is called {entry.name}"
    return entry


def knows(name: str) -> bool:
    """Whether it is a job's name, or a test's or a benchmark's ``<job>-...``; imports no job."""
    return "/" not in name and name.partition("-")[0] in names()


def must_know(name: str) -> None:
    """Raises UnknownJob, which says which there are, unless ``knows(name)``."""
    if not knows(name):
        job(name)


def find(name: str) -> Job | None:
    """The job of that name, or that a test's or a benchmark's ``<job>-...`` is made of."""
    return job(name.partition("-")[0]) if knows(name) else None


def jobs() -> list[Job]:
    """The entries of all jobs, by name."""
    return [job(name) for name in names()]


def check_versions(versions: Mapping[str, int]) -> None:
    """Raises ValueError for a state, or a version of one, that there is not."""
    if versions:  # every state's codec is loaded only where one is asked for
        states = importlib.import_module("tillstream.state_schemas.keyed.states")
        states.check_versions(versions)
