"""Learns the model of a rule set from signals that were measured and labels that came later.

Gradient boosting by LightGBM (G. Ke et al., NIPS 2017), which is only needed here: the trees go into
the rule set as numbers and are evaluated in plain Python by tillstream/domain/fraud/model.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tillstream.domain.fraud.model import Model, Tree
from tillstream.domain.fraud.ruleset import Rule, RuleSet
from tillstream.domain.fraud.signals import NAMES

# The signals that may be learnt from, with the direction in which suspicion may only rise or fall:
# few sales teach little, and a model that knows this cannot learn the opposite from noise.
FEATURES: dict[str, int] = {
    "amount.cents": 1,
    "amount.ratio": 1,
    "amount.z": 1,
    "amount.high_lately": 1,
    "amount.peak": 1,
    "terminal.risk_1d": 1,
    "terminal.risk_7d": 1,
    "terminal.risk_28d": 1,
    "terminal.frauds_28d": 0,
    "terminal.frauds_early": 1,
    "terminal.first_fraud_days": 0,
    "terminal.last_fraud_days": 0,
    "terminal.run_days": 0,
    "terminal.run_frauds": 1,
    "terminal.honest_since": -1,
}
SETTINGS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 8,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_bin": 127,
    "monotone_constraints_method": "advanced",
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
    "seed": 1,
}
ROUNDS = 150
# What a model adds to the points of the rules: five for each unit of log-odds, some 10 for an ordinary sale.
# Never less than nothing, so rules hold whatever it says, and less than a hold.
LEARNED = Rule("learned_evidence", -9.0, 60.0, "model.log_odds", full=3.0)


class NoLightGBM(RuntimeError):
    """The library that learns is not installed; the message says how."""


def train(
    signals: Any,
    frauds: Any,
    version: str,
    features: dict[str, int] = FEATURES,
    rounds: int = ROUNDS,
    **settings: Any,
) -> Model:
    """A model of ``frauds`` (0 or 1 for each row) from ``signals`` (rows in the order of NAMES).

    Raises NoLightGBM. The same input gives the same model.
    """
    try:
        import lightgbm
    except ImportError:
        raise NoLightGBM("learning needs LightGBM: pip install 'tillstream[model]'") from None
    names = list(features)
    columns = signals[:, [NAMES.index(name) for name in names]]
    data = lightgbm.Dataset(columns, frauds, params={"verbose": -1})
    chosen = SETTINGS | {"monotone_constraints": list(features.values())} | settings
    booster = lightgbm.train(chosen, data, rounds)
    found = booster.dump_model()
    trees = tuple(_tree(tree["tree_structure"]) for tree in found["tree_info"])
    return Model(
        version, tuple(names), 0.0, trees, f"{len(columns)} sales, {int(sum(frauds))} frauds"
    )


def with_model(rules: RuleSet, model: Model) -> RuleSet:
    """The rule set with a model, and with the rule (`LEARNED`) that gives points for what it says."""
    return msgspec.structs.replace(
        rules,
        version=f"{rules.version}-{model.version}",
        rules=(*rules.rules, LEARNED),
        model=model,
    )


def _tree(root: dict[str, Any]) -> Tree:
    """A tree of LightGBM as lists, each node before its children."""
    columns: Sequence[list[Any]] = ([], [], [], [], [])
    feature, value, left, right, missing_left = columns

    def add(node: dict[str, Any]) -> int:
        place = len(feature)
        leaf = "leaf_value" in node
        feature.append(-1 if leaf else node["split_feature"])
        value.append(float(node["leaf_value"] if leaf else node["threshold"]))
        missing_left.append(not leaf and _missing_left(node))
        left.append(0)
        right.append(0)
        if not leaf:
            if node["decision_type"] != "<=":
                raise ValueError(f"a split by {node['decision_type']!r} is not known here")
            left[place] = add(node["left_child"])
            right[place] = add(node["right_child"])
        return place

    add(root)
    return Tree(*(tuple(column) for column in columns))


def _missing_left(node: dict[str, Any]) -> bool:
    """Where LightGBM sends what is missing: where nothing was missing while learning, as if 0."""
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return bool(node["threshold"] >= 0)
