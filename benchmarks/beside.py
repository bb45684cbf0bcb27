"""The same measurement by several environments in turns: lines of Flink, or a release and the one before.

``python benchmarks/beside.py 1.20=.venv/bin/python 2.2=.venv-2.2/bin/python`` runs `tillstream bench` by each
Python, one round after the other, so that what changes on the machine meanwhile meets all alike. Of each job
it shows every environment's median and, to the first one, the ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import output

JOBS = "intake,loyalty,archive,fraud,inventory,shortage"
FIGURES = ("rate", "per_cpu_second")
LONGEST_S = 3_600


def measured(python: str, args: argparse.Namespace) -> dict[str, Any]:
    """What `tillstream bench` found in one round. Raises CalledProcessError where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        command = [python, "-m", "tillstream.cli", "bench", "--jobs", args.jobs, "--repeats", "1",
                   "--count", str(args.count), "--no-process-mode", "--no-latency", "--json",
                   str(file)]  # fmt: skip
        subprocess.run(command, check=True, timeout=LONGEST_S, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(file.read_text())
        return found


def environment(text: str) -> tuple[str, str]:
    name, _, python = text.partition("=")
    if not python or not Path(python).exists():
        raise argparse.ArgumentTypeError(f"{text}: is NAME=PYTHON, where PYTHON is there")
    return name, python


def summary(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Of rounds (environment -> `tillstream bench`): row -> environment -> figure -> median, of what was
    measured by all of them in every round."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    names = list(rounds[0])
    rows = [row for row in rounds[0][names[0]]["rows"]]
    for row in rows:
        samples = {name: [one[name]["rows"].get(row, {}) for one in rounds] for name in names}
        if all(FIGURES[0] in sample for several in samples.values() for sample in several):
            found[row] = {
                name: {
                    figure: statistics.median(sample[figure]["median"] for sample in several)
                    for figure in FIGURES
                }
                for name, several in samples.items()
            }
    return found


def show(found: dict[str, dict[str, dict[str, float]]]) -> None:
    for figure, title in zip(FIGURES, ("tx/s", "tx per CPU second"), strict=True):
        names = list(next(iter(found.values()), {}))
        columns = ["", *names, *(f"{name} to {names[0]}" for name in names[1:])]
        rows = []
        for row, by_name in found.items():
            values = [by_name[name][figure] for name in names]
            ratios = [f"x {value / values[0]:.2f}" for value in values[1:]]
            rows.append([row, *(f"{value:,.0f}" for value in values), *ratios])
        output.table(title, columns, rows)


def main() -> None:
    parser = output.arguments(__doc__ or "", disk=False)
    parser.add_argument("environments", metavar="NAME=PYTHON", nargs="+", type=environment)
    parser.add_argument("--jobs", default=JOBS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--count", type=int, default=300_000)
    args = parser.parse_args()
    rounds: list[dict[str, dict[str, Any]]] = []
    for number in range(1, args.rounds + 1):
        rounds.append({})
        for name, python in args.environments:
            output.say(f"round {number} of {args.rounds}: {name}")
            rounds[-1][name] = measured(python, args)
    found = summary(rounds)
    show(found)
    output.write(args.json, {**output.about(), "medians": found, "rounds": rounds})


if __name__ == "__main__":
    main()
