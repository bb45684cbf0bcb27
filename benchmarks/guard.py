"""Holds the speed of what runs in Python: today's functions beside those of the last release, in one run.

``python benchmarks/guard.py`` takes the last tagged version out of git, or the commit named in
guard_base.txt while there is no tag or that commit is newer, and runs the jobs' functions of both trees
without an engine, on the same input, in turns. A job fails whose least cost is more than BOUND times what
it was: what else the machine does only ever adds to a round, often to several of one side. What the JVM
does is not seen here: ``tillstream bench`` does that.

After a wanted change for the slower: name the commit that made it in guard_base.txt, and say why there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BASE = Path(__file__).parent / "guard_base.txt"
SIDE = Path(__file__).parent / "guard_side.py"
BOUND = 1.5
ROUNDS = range(3, 10)  # the fewest, and when there is time the most
ENOUGH_S = 15.0  # no further round after this


class Skipped(Exception):
    """There is nothing to compare with; the message says why."""


def git(*arguments: str) -> str:
    """What git says; Skipped if it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        raise Skipped("git is not installed") from None
    if done.returncode:
        raise Skipped((done.stderr.strip() or f"git {arguments[0]} failed").splitlines()[0])
    return done.stdout.strip()


def base() -> str:
    """Name of the version to compare with: the last tag, or the commit of guard_base.txt."""
    git("rev-parse", "--git-dir")
    words = BASE.read_text().split() if BASE.exists() else []
    named = words[0] if words else ""
    try:
        tag = git("describe", "--tags", "--abbrev=0")
    except Skipped:
        tag = ""
    if not tag and not named:
        raise Skipped("there is neither a tag nor a commit in guard_base.txt")
    try:
        if named and (not tag or git("merge-base", tag, named) == git("rev-parse", f"{tag}^0")):
            return git("rev-parse", "--verify", "--quiet", f"{named}^0")
    except Skipped:
        if not tag:
            raise Skipped(f"this clone has no tag and is without commit {named[:7]}") from None
    return tag


def unpack(version: str, folder: Path) -> Path:
    """The tree of ``version``, under ``folder``."""
    archive, tree = folder / "base.tar", folder / "base"
    git("archive", "--output", str(archive), version)
    shutil.unpack_archive(archive, tree)  # tarfile's `filter` is not in every 3.11
    archive.unlink()
    return tree


class Side:
    """The functions of one tree in a process of their own."""

    def __init__(self, tree: Path, given: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(SIDE), str(tree), str(given)],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.jobs: list[str] = self._answer()

    def cost_us(self, job: str) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{job}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"guard: {self._process.args} ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


Costs = dict[str, tuple[list[float], list[float]]]


def in_turns(before: Side, now: Side) -> Costs:
    """By job of either side: microseconds a transaction of each round, before and now."""
    costs: Costs = {job: ([], []) for job in sorted({*before.jobs, *now.jobs})}
    began = time.monotonic()
    for n in range(ROUNDS.stop):
        if n >= ROUNDS.start and time.monotonic() - began > ENOUGH_S:
            break
        for job, kept in costs.items():
            sides = [(before, kept[0]), (now, kept[1])]
            for side, list_of_costs in sides if n % 2 else reversed(sides):
                if job in side.jobs:
                    list_of_costs.append(side.cost_us(job))
    return costs


def verdict(costs: Costs, bound: float = BOUND) -> tuple[list[str], list[str]]:
    """(a line for each job, a line for each that fails)."""
    lines, failures = [], []
    for job, (before, now) in costs.items():
        if not before:
            lines.append(f"{job} {min(now):.1f} us, and was not there before")
        elif not now:
            failures.append(f"{job} is gone: name the commit without it in {BASE.name}")
        else:
            ratio = min(now) / min(before)
            lines.append(f"{job} {min(now):.1f} us, {min(before):.1f} before: x {ratio:.2f}")
            if ratio > bound:
                failures.append(f"{job} takes {ratio:.2f} times what it took, over {bound}")
    return lines, failures


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tillstream-guard-")))
        try:
            version = base()
            tree = unpack(version, folder)
        except Skipped as why:
            print(f"guard: skipped, for there is nothing to compare with: {why}")
            return 0
        given = folder / "input.json"
        now, before = (stack.enter_context(closing(Side(side, given))) for side in (ROOT, tree))
        costs = in_turns(before, now)
    lines, failures = verdict(costs)
    rounds = max(len(now) for _, now in costs.values())
    print(f"guard: {rounds} rounds beside {version[:12]}, CPU a transaction, the least of each")
    for line in lines:
        print(f"guard: {line}")
    for line in failures:
        print(f"guard: SLOWER {line}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
