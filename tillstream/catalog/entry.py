"""What a job is: one declaration beside its code, from which all that others must know is derived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tillstream.catalog import tables, topics
from tillstream.catalog.resources import History, Resource, Table, Topic
from tillstream.state_schemas.keyed.states import STATES, KeyedState

# What every job with a Python stage writes besides.
DEAD_LETTERS: tuple[Resource, ...] = (topics.DEAD_LETTERS, tables.DEAD_LETTERS)


class Undeclared(LookupError):
    """A job uses what its entry does not list."""


@dataclass(frozen=True)
class Job:
    """The entry of jobs/<name>.py.

    reads: topics besides the till transactions, which it reads if ``transactions``: those that the front
    door has checked, or if ``raw`` what tills send. writes: topics, tables, histories. read, build, write:
    the three parts of the job, each given a ``connectors.context.JobContext``: read(context) -> inputs,
    build(inputs, context) -> streams, write(streams, context). Its keyed states are those of its name in
    state_schemas/keyed/states.py.
    """

    name: str
    read: Callable[[Any], Any]
    build: Callable[[Any, Any], Any]
    write: Callable[[Any, Any], None]
    transactions: bool = True
    raw: bool = False
    reads: tuple[Topic, ...] = ()
    writes: tuple[Resource, ...] = ()

    @property
    def source(self) -> str:
        """The section of conf that says where the job reads transactions."""
        return "source" if self.raw else "transactions"

    @property
    def states(self) -> tuple[KeyedState, ...]:
        return tuple(state for state in STATES if state.job == self.name)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """All topics it reads or writes, without repeats."""
        written = [one for one in self.writes if isinstance(one, Topic)]
        return tuple({topic.id: topic for topic in (*self.reads, *written)}.values())

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(one for one in self.writes if isinstance(one, Table))

    @property
    def histories(self) -> tuple[History, ...]:
        return tuple(one for one in self.writes if isinstance(one, History))

    @property
    def set_aside(self) -> tuple[History, ...]:
        """Of what a replay writes again, the histories whose earlier rows it sets aside. Dead letters
        stay: a redrive reads them by id."""
        return tuple(one for one in self.histories if one is not tables.DEAD_LETTERS)

    @property
    def sums(self) -> bool:
        """Whether rows are parts of sums, so that going back would count them twice."""
        return any(not history.identity for history in self.histories)

    def read_of(self, topic: Topic) -> Topic:
        """The topic as it is listed in ``reads``. Raises Undeclared."""
        return self._listed(topic, self.reads, "reads")  # type: ignore[return-value]

    def written(self, resource: Resource) -> Resource:
        """The topic, table or history as it is listed in ``writes``. Raises Undeclared."""
        return self._listed(resource, self.writes, "writes")

    def _listed(self, wanted: Resource, listed: tuple[Resource, ...], what: str) -> Resource:
        for one in listed:
            if (type(one), one.id) == (type(wanted), wanted.id):
                return one
        kind = type(wanted).__name__.lower()
        raise Undeclared(f"jobs/{self.name}.py: its entry lacks the {kind} {wanted.id} in {what}")

    def state(self, name: str) -> KeyedState:
        """The keyed state of that name. Raises Undeclared."""
        for state in self.states:
            if state.name == name:
                return state
        raise Undeclared(
            f"state_schemas/keyed/states.py lacks the state {name} of the job {self.name}: its operator,"
            " codec, key and life"
        )
