"""What one rule set changes against another."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from tillstream.domain.fraud.ruleset import RuleSet


class Change(NamedTuple):
    """One difference: where, what it was and what it is; None for what was or is not there."""

    where: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.where}: {self.after}"
        if self.after is None:
            return f"- {self.where}: {self.before}"
        return f"~ {self.where}: {self.before} -> {self.after}"


def diff(before: RuleSet, after: RuleSet) -> list[Change]:
    """The differences of two rule sets: settings by their path, rules by their code.

    Version and note are left out; a model is compared by its version, for its trees tell nobody
    anything; the order of rules has no effect and is not compared.
    """
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    changes: list[Change] = []
    _walk("", _settings(old), _settings(new), changes)
    old_rules = {r["code"]: r for r in old["rules"]}
    new_rules = {r["code"]: r for r in new["rules"]}
    for code in sorted(old_rules.keys() | new_rules.keys()):
        was, now = old_rules.get(code), new_rules.get(code)
        where = f"rules.{code}"
        if was is None or now is None:
            changes.append(Change(where, was and _short(was), now and _short(now)))
        else:
            _walk(where, was, now, changes)
    return changes


def _settings(data: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in data.items() if k not in ("rules", "version", "note", "model")}
    kept["model"] = data["model"] and data["model"]["version"]
    return kept


def _short(rule: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in rule.items() if k != "code" and v is not None)


def _walk(where: str, old: dict[str, Any], new: dict[str, Any], changes: list[Change]) -> None:
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        path = f"{where}.{key}" if where else key
        if isinstance(was, dict) and isinstance(now, dict):
            _walk(path, was, now, changes)
        elif was != now:
            changes.append(Change(path, was, now))
