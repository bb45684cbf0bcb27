"""A learned score as data: boosted trees, evaluated in plain Python in a few microseconds.

The trees are numbers in the rule set. They are checked, then written out as one Python function of
nested comparisons, which is ten times as fast as walking them; only numbers go into its text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp, isfinite
from typing import Annotated

import msgspec
from msgspec import Meta

MAX_NODES = 20_000
MAX_DEPTH = 12

Scorer = Callable[[list[float]], float]
OF_MODEL = ("model.log_odds", "model.score")  # the signals that a model makes
MOST = 500.0  # log-odds; what is more says no more, and stays finite in JSON


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True, gc=False):
    """Nodes by position, the first is the root.

    feature: place in ``Model.features``, -1 for a leaf. value: the threshold, or a leaf's log-odds.
    left, right: nodes for ``signal <= value`` and otherwise; always further on than their parent.
    missing_left: whether a signal that could not be measured goes left.
    """

    feature: tuple[int, ...]
    value: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    missing_left: tuple[bool, ...]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Sum of trees on the log-odds scale over signals by name; its score is the probability."""

    version: str
    features: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
    bias: float
    trees: Annotated[tuple[Tree, ...], Meta(max_length=500)]
    trained: str | None = None


def compile_model(model: Model, index: Mapping[str, int]) -> Scorer:
    """The model as a function from a vector of signals to log-odds, at most MOST either way.
    Raises ValueError."""
    for name in model.features:
        if name not in index or name in OF_MODEL:
            raise ValueError(f"no signal {name!r}")
    if sum(len(tree.feature) for tree in model.trees) > MAX_NODES:
        raise ValueError(f"more than {MAX_NODES} nodes")
    places = [index[name] for name in model.features]
    used = sorted({places[f] for t in model.trees for f in t.feature if 0 <= f < len(places)})
    lines = ["def margin(s):"]
    lines += [f" x{at} = s[{at}]" for at in used]
    lines.append(f" z = {_number(model.bias)}")
    for n, tree in enumerate(model.trees):
        _check(tree, n, len(places))
        _write(tree, 0, 1, places, lines)
    lines.append(" return z")
    room: dict[str, Callable[[list[float]], float]] = {}
    exec(compile("\n".join(lines), "<model>", "exec"), {"__builtins__": {}}, room)
    margin = room["margin"]

    def log_odds(signals: list[float]) -> float:
        z = margin(signals)
        return (z if z < MOST else MOST) if z > -MOST else -MOST  # -MOST for NaN too

    return log_odds


def probability(log_odds: float) -> float:
    """1 / (1 + e^-z); 0 for the least that a model says."""
    return 1 / (1 + exp(-log_odds)) if log_odds > -MOST else 0.0


def _check(tree: Tree, n: int, features: int) -> None:
    size = len(tree.feature)
    if not size or {len(tree.value), len(tree.left), len(tree.right), len(tree.missing_left)} != {
        size
    }:
        raise ValueError(f"trees[{n}] is empty or its lists differ in length")
    for node, feature in enumerate(tree.feature):
        if feature >= features or feature < -1:
            raise ValueError(f"trees[{n}] node {node} has no such feature")
        if feature >= 0 and not (node < tree.left[node] < size and node < tree.right[node] < size):
            raise ValueError(f"trees[{n}] node {node} does not lead onwards")


def _write(tree: Tree, node: int, depth: int, places: list[int], lines: list[str]) -> None:
    if depth > MAX_DEPTH + 1:
        raise ValueError(f"a tree is deeper than {MAX_DEPTH}")
    pad = " " * depth
    if tree.feature[node] < 0:
        lines.append(f"{pad}z += {_number(tree.value[node])}")
        return
    name = f"x{places[tree.feature[node]]}"
    # NaN fails every comparison: it takes the else branch
    value = _number(tree.value[node])
    first, second = tree.left[node], tree.right[node]
    test = f"{name} <= {value}"
    if tree.missing_left[node]:
        first, second, test = second, first, f"{name} > {value}"
    lines.append(f"{pad}if {test}:")
    _write(tree, first, depth + 1, places, lines)
    lines.append(f"{pad}else:")
    _write(tree, second, depth + 1, places, lines)


def _number(value: float) -> str:
    if not isfinite(value):
        raise ValueError("numbers of a model must be finite")
    return repr(float(value))
