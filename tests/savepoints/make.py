"""Savepoints of this release's jobs: ``python tests/savepoints/make.py`` at each release, then commit.

Starts a stack of its own, sends the first part of the traffic, stops each job with a savepoint in the
canonical format (which every state backend restores) and keeps it under <release>/<job>/. What is
there already is never replaced. ``--traffic`` makes the traffic; done once, for good.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.savepoints import releases
from tests.support.stacks import with_free_ports
from tests.support.wait import wait_for
from tillstream.check.platform import Platform
from tillstream.local.stack import Stack
from tillstream.sim.simulator import Faults, Simulator

START_MS = 1_764_000_000_000
COUNTS = {"before": 400, "after": 200, "later": 100}
REPEATED = 20  # records of earlier parts that come again in each later part


def make_traffic() -> None:
    """Seeded; few customers, so that each comes back and spends points. Malformed ones have no place here."""
    faults = Faults(duplicates=0.02, late=0.03)
    sent = list(
        Simulator(
            "normal", seed=9, count=sum(COUNTS.values()), customers=60, rate=1,
            start_ms=START_MS, faults=faults, refunds=0.08, voids=0.04, redemptions=0.2,
        )
    )  # fmt: skip
    choose = random.Random(9)
    lines, place = [], 0
    for part, count in COUNTS.items():
        again = choose.sample(sent[:place], REPEATED) if place else []
        lines += [(part, s.key, s.raw) for s in [*sent[place : place + count], *again]]
        place += count
    text = b"\n".join(b"\t".join((p.encode(), k.encode(), raw)) for p, k, raw in lines)
    releases.TRAFFIC.write_bytes(gzip.compress(text, mtime=0))


def make(job: str, target: Path, stack: Stack, folder: Path) -> None:
    shop = releases.shop(stack, folder, f"{releases.NAME}-made-{job}")
    shop.submit(job)
    wait_for_effects(shop, job)
    shop.run("job", "stop", job, "--savepoint", str(folder / job))
    (made,) = (folder / job).glob("savepoint-*")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(made, target)


def wait_for_effects(shop: releases.Shop, job: str) -> None:
    """Until the first part's effects are out."""
    platform = Platform(shop.conf())

    def out() -> bool:
        if job == "loyalty":
            return platform.balances() == releases.balances("before")
        archived = platform.archive(["transaction_id"])["transaction_id"].to_pylist()
        return set(archived) == releases.ids("before")

    wait_for(out, 90, f"the traffic's effects on {job}", every_s=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--traffic", action="store_true", help="only make the traffic, once")
    parser.add_argument("jobs", nargs="*", default=["loyalty", "archive"])
    args = parser.parse_args()
    if args.traffic:
        if releases.TRAFFIC.exists():
            raise SystemExit("the traffic is there; savepoints depend on it, so it stays")
        make_traffic()
        return
    release = version("tillstream")
    wanted = [job for job in args.jobs if not releases.savepoint(release, job).exists()]
    if not wanted:
        raise SystemExit(f"{release} has its savepoints: {', '.join(args.jobs)}")
    with tempfile.TemporaryDirectory(prefix="tillstream-history-") as home:
        os.environ["TILLSTREAM_HOME"] = home
        stack = with_free_ports(Path(home))
        try:
            stack.up(taskmanagers=2, progress=print)
            folder = Path(home) / "made"
            folder.mkdir()
            releases.send(releases.shop(stack, folder, "sent"), "before")
            for job in wanted:
                target = releases.savepoint(release, job)
                make(job, target, stack, folder)
                files = {p.name: p.stat().st_size for p in target.iterdir()}
                print(f"{target}: {json.dumps(files)}")
        finally:
            stack.down(purge=True)


if __name__ == "__main__":
    main()
