"""One side of the guard: runs the functions of one tree, the version under test or the one before it.

``python guard_side.py TREE INPUT``, started with TREE as folder and PYTHONPATH. Both sides are this same
file; what is a tree's own, where its modules are and how its functions are called, is in the tree's
benchmarks/in_python.py. That has to keep: ``JOBS``, ``Traffic(count)``, ``Simulator``, ``cost_us``,
``no_collections``. The side that finds no file INPUT simulates its input, and writes it there once it has
run every job; the other is given the same bytes.

Answers on stdout, a line of JSON each: first its jobs; then, to each line NAME, CPU microseconds a
transaction.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

COUNT = 2_000  # transactions a round
MOST = 4_000  # of one simulation: what the stores learnt before takes most of the time


def serve() -> None:
    tree, file = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    import tillstream
    from benchmarks import in_python
    from tillstream import conf as settings

    for module in (tillstream, in_python):
        where = Path(module.__file__ or "").resolve()
        assert tree in where.parents, f"{where} is of another tree than {tree}"
    given: dict[str, list[str]] = json.loads(file.read_text()) if file.exists() else {}
    simulator = in_python.Simulator

    def same(*arguments: Any, seed: int, **options: Any) -> Iterator[SimpleNamespace]:
        if str(seed) not in given:
            assert not file.exists(), f"INPUT has nothing of seed {seed}"
            sent = simulator(*arguments, seed=seed, **options)
            given[str(seed)] = [one.raw.decode() for one in islice(sent, MOST)]
        return (SimpleNamespace(raw=text.encode()) for text in given[str(seed)])

    in_python.Simulator = same  # type: ignore[assignment,misc]
    conf, traffic = settings.load("local"), in_python.Traffic(COUNT)
    for run in in_python.JOBS.values():  # warm, and the input complete
        run(traffic, conf)
    if not file.exists():
        file.write_text(json.dumps(given))
    say(sorted(in_python.JOBS))
    for line in sys.stdin:
        with in_python.no_collections():
            say(in_python.cost_us(in_python.JOBS[line.strip()](traffic, conf), traffic))


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.path.pop(0)  # this file's folder: the tree's modules come from PYTHONPATH
    serve()
