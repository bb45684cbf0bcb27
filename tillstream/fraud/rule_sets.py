"""Rule sets pushed to the running job: push and wait for its answers, list, compare."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec

from tillstream.catalog import topics
from tillstream.cli.times import now_ms
from tillstream.conf import Conf
from tillstream.domain.fraud.control import MAX_ORDER_BYTES, Answer, Mode, Order
from tillstream.domain.fraud.ruleset import RuleSet
from tillstream.fraud.topics import TopicError, put, read_all, tail

_order = msgspec.json.Decoder(Order).decode
_answer = msgspec.json.Decoder(Answer).decode
_rule_set = msgspec.json.Decoder(RuleSet).decode


class Outcome(NamedTuple):
    """What the job's subtasks said to one push. seconds: until all answers were read."""

    answered: int
    subtasks: int
    problem: str
    seconds: float

    @property
    def live(self) -> bool:
        return self.subtasks > 0 and self.answered >= self.subtasks and not self.problem


class Pushed(NamedTuple):
    """One order as it is on the topic. state: live, shadow, superseded, refused, or not answered."""

    at_ms: int
    mode: str
    version: str
    by: str
    state: str
    problem: str
    raw: bytes


def push(conf: Conf, mode: Mode, version: str, raw: bytes, by: str, wait_s: float) -> Outcome:
    """Puts an order on the topic of rules and waits until every subtask has answered, or
    ``wait_s``. ``raw``: the rule set's JSON, empty for shadow-off."""
    with tail(conf, conf.topic(topics.FRAUD_ANSWERS)) as answers:
        # Only now, for to find the topic's end takes a while on a busy machine.
        began = time.monotonic()
        body = msgspec.json.encode(Order(mode, version, now_ms(), by, msgspec.Raw(raw or b"null")))
        if len(body) > MAX_ORDER_BYTES:
            raise TopicError(f"the rule set has {len(body):,} bytes, more than {MAX_ORDER_BYTES:,}")
        origin = put(conf, conf.topic(topics.FRAUD_RULES), mode, body)
        said: dict[int, Answer] = {}
        while time.monotonic() - began < wait_s:
            for message in answers(0.1):
                answer = _answer(message.value)
                if answer.origin == origin:
                    said[answer.subtask] = answer
            if said and len(said) >= next(iter(said.values())).subtasks:
                break
        took = time.monotonic() - began
    subtasks = next((a.subtasks for a in said.values()), 0)
    problem = next((a.problem for a in said.values() if not a.accepted), "")
    return Outcome(len(said), subtasks, problem, took)


def pushed(conf: Conf) -> list[Pushed]:
    """Every order on the topic, oldest first, with what became of it."""
    answers: dict[str, Answer] = {}
    for message in read_all(conf, conf.topic(topics.FRAUD_ANSWERS)):
        answer = _answer(message.value)
        known = answers.get(answer.origin)
        if known is None or known.accepted:
            answers[answer.origin] = answer
    found: list[Pushed] = []
    for message in read_all(conf, conf.topic(topics.FRAUD_RULES)):
        said = answers.get(message.origin)
        try:
            order = _order(message.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            problem = said.problem if said else "not an order"
            found.append(Pushed(message.at_ms, "?", "?", "?", "refused", problem, b""))
            continue
        state = "not answered" if said is None else "superseded" if said.accepted else "refused"
        found.append(
            Pushed(message.at_ms, order.mode, order.version, order.by, state,
                   said.problem if said else "", bytes(order.rules))
        )  # fmt: skip
    return _with_newest(found)


def _with_newest(found: list[Pushed]) -> list[Pushed]:
    """Marks the last accepted order of each mode as what is in force."""
    in_force: dict[str, int] = {}
    for n, one in enumerate(found):
        if one.state == "superseded":
            in_force["shadow" if one.mode == "shadow-off" else one.mode] = n
    for mode, n in in_force.items():
        if found[n].mode != "shadow-off":
            found[n] = found[n]._replace(state=mode)
    return found


def find(conf: Conf, version: str) -> bytes | None:
    """JSON of the newest rule set of that version on the topic, or with ``live`` or ``shadow`` of
    what is in force."""
    for one in reversed(pushed(conf)):
        if version in (one.version, one.state) and one.raw not in (b"", b"null"):
            return one.raw
    return None


def of_version(conf: Conf, version: str) -> RuleSet | None:
    """The newest rule set of that version on the topic, whatever the job said to it: one topic to
    read where ``find`` reads two."""
    for message in reversed(read_all(conf, conf.topic(topics.FRAUD_RULES))):
        try:
            order = _order(message.value)
            if order.version == version and order.mode != "shadow-off":
                return _rule_set(order.rules)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # refused by the job for the same reason
    return None


def differences(old: bytes, new: bytes) -> list[str]:
    """What changes from one rule set to another, a line each: ``+ - ~`` and where."""
    before = msgspec.to_builtins(_rule_set(old))
    after = msgspec.to_builtins(_rule_set(new))
    lines = []
    for name in ("version", "review_at", "hold_at"):
        if before[name] != after[name]:
            lines.append(f"~ {name}: {before[name]} -> {after[name]}")
    for part in ("watch", "profile"):
        lines += _changes(part, before[part], after[part])
    lines += _model_changes(before.get("model"), after.get("model"))
    was = {rule["code"]: rule for rule in before["rules"]}
    now = {rule["code"]: rule for rule in after["rules"]}
    lines += [f"- {code}" for code in was if code not in now]
    lines += [f"+ {code}: {_short(rule)}" for code, rule in now.items() if code not in was]
    for code in was:
        if code in now:
            lines += _changes(code, was[code], now[code])
    return lines


def _changes(where: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [
        f"~ {where}.{name}: {before.get(name)} -> {after.get(name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _model_changes(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[str]:
    if before == after:
        return []
    names = [model["version"] if model else "none" for model in (before, after)]
    return [f"~ model: {names[0]} -> {names[1]}"]


def _short(rule: dict[str, Any]) -> str:
    told = ("signal", "velocity", "threshold", "full", "weight", "when")
    return ", ".join(f"{name} {rule[name]}" for name in told if rule[name] is not None)
