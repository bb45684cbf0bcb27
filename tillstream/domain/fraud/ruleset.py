"""Rule sets: thresholds, weights, windows and conditions as data, checked and compiled.

A rule set travels as JSON (`RuleSet`, schema in state_schemas/events/fraud_ruleset); `compile_rules` checks
what a schema cannot and makes it ready to judge with. Nothing of it is code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from tillstream.domain.fraud.counters import WINDOWS
from tillstream.domain.fraud.expressions import (
    Condition,
    InvalidCondition,
    compile_condition,
)
from tillstream.domain.fraud.model import OF_MODEL, Model, Scorer, compile_model
from tillstream.domain.fraud.places import Places
from tillstream.domain.fraud.profile import ProfileSettings
from tillstream.domain.fraud.signals import NAMES
from tillstream.domain.rates import ONE_CURRENCY, Rates

# Python's $ would let a line end follow.
Code = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{1,63}$(?!\n)")]
Version = Annotated[str, Meta(pattern="^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$(?!\n)")]
Points = Annotated[float, Meta(ge=-1000, le=1000)]

INDEX = {name: n for n, name in enumerate(NAMES)}


class Velocity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """How often, or for how much, within a sliding window: ``by`` whom, ``of`` what."""

    by: Literal["card", "customer", "terminal"]
    window: Literal["1m", "10m", "1h", "24h"]
    of: Literal["count", "cents"] = "count"

    @property
    def signal(self) -> str:
        assert self.window in WINDOWS
        return f"{self.by}.{'n' if self.of == 'count' else 'cents'}_{self.window}"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Gives points when a signal reaches ``threshold`` and the condition ``when``, if any, holds.

    With ``full`` the points grow evenly from none at ``threshold`` to ``weight`` at ``full``; without
    it they come at once. Either ``signal`` or ``velocity`` says what is measured. A negative weight
    speaks for the customer.
    """

    code: Code
    threshold: float
    weight: Points
    signal: str | None = None
    velocity: Velocity | None = None
    full: float | None = None
    when: str | None = None
    note: str | None = None

    @property
    def measured(self) -> str:
        if self.velocity is not None:
            return self.velocity.signal
        return self.signal or ""


class Watch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """After a hold a subject is judged against these lower thresholds for so many hours."""

    hours: Annotated[float, Meta(ge=0, le=24 * 365)] = 72.0
    review_at: float = 30.0
    hold_at: float = 60.0


class RuleSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One version of the rules. A score of at least hold_at holds, of at least review_at reviews. What
    arrived more than late_minutes after it took place is reviewed at most: the goods are gone."""

    schema: Literal[1]
    version: Version
    review_at: float
    hold_at: float
    rules: Annotated[tuple[Rule, ...], Meta(min_length=1, max_length=200)]
    watch: Watch = Watch()
    profile: ProfileSettings = msgspec.field(default_factory=ProfileSettings)
    model: Model | None = None
    note: str | None = None
    late_minutes: Annotated[float, Meta(ge=0, le=100_000_000)] = 30.0


class Problem(NamedTuple):
    """What is wrong, and where: a JSON path such as ``$.rules[3].when``."""

    path: str
    message: str


class InvalidRules(ValueError):
    """The rule set cannot be used; ``problems`` says why, all that could be found at once."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.path}: {p.message}" for p in problems))
        self.problems = problems


class Ready(NamedTuple):
    """A rule made ready: place of its signal in the vector, and the rule's numbers."""

    rule: Rule
    at: int
    threshold: float
    full: float | None
    weight: float
    when: Condition | None


class Rules(NamedTuple):
    """A rule set made ready to judge with."""

    data: RuleSet
    ready: tuple[Ready, ...]
    scorer: Scorer | None
    places: Places
    measured: Callable[[list[float]], tuple[float, ...]]  # the rules' signals, in the rules' order
    thresholds: tuple[float, ...]
    rates: Rates = ONE_CURRENCY

    @property
    def version(self) -> str:
        return self.data.version


_decoder = msgspec.json.Decoder(RuleSet)


def load_rules(raw: bytes, places: Places, rates: Rates = ONE_CURRENCY) -> Rules:
    """A rule set from its JSON. Raises InvalidRules, and nothing else."""
    try:
        data = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what, _, path = str(error).partition(" - at `")
        raise InvalidRules([Problem(path.rstrip("`") or "$", what)]) from None
    return compile_rules(data, places, rates)


def compile_rules(data: RuleSet, places: Places, rates: Rates = ONE_CURRENCY) -> Rules:
    """Checks a rule set and makes it ready. Raises InvalidRules."""
    problems = list(_problems(data))
    ready = []
    for n, rule in enumerate(data.rules):
        when = None
        if rule.when is not None:
            try:
                when = compile_condition(rule.when, INDEX)
            except InvalidCondition as error:
                problems.append(Problem(f"$.rules[{n}].when", str(error)))
        at = INDEX.get(rule.measured)
        if at is not None:
            ready.append(Ready(rule, at, rule.threshold, rule.full, rule.weight, when))
    scorer = None
    if data.model is not None:
        try:
            scorer = compile_model(data.model, INDEX)
        except ValueError as error:
            problems.append(Problem("$.model", str(error)))
    if problems:
        raise InvalidRules(problems)
    # itemgetter gives a tuple for two places and more: the first again, after the last, sees to it.
    measured = itemgetter(*(one.at for one in ready), ready[0].at)
    thresholds = tuple(one.threshold for one in ready)
    return Rules(data, tuple(ready), scorer, places, measured, thresholds, rates)


def _problems(data: RuleSet) -> Iterator[Problem]:
    if data.hold_at < data.review_at:
        yield Problem("$.hold_at", "must not be below review_at")
    if data.watch.hold_at < data.watch.review_at:
        yield Problem("$.watch.hold_at", "must not be below watch.review_at")
    if data.watch.hold_at > data.hold_at or data.watch.review_at > data.review_at:
        yield Problem("$.watch", "a watched subject must not be judged more mildly")
    seen: set[str] = set()
    for n, rule in enumerate(data.rules):
        path = f"$.rules[{n}]"
        if rule.code in seen:
            yield Problem(f"{path}.code", f"{rule.code!r} is there twice")
        seen.add(rule.code)
        if (rule.signal is None) == (rule.velocity is None):
            yield Problem(path, "needs either signal or velocity")
        elif rule.measured not in INDEX:
            yield Problem(f"{path}.signal", f"no signal {rule.measured!r}")
        elif rule.measured in OF_MODEL and data.model is None:
            yield Problem(f"{path}.signal", f"{rule.measured} needs a model in this rule set")
        if rule.full is not None and rule.full <= rule.threshold:
            yield Problem(f"{path}.full", "must be above threshold")
