"""What a topic, a table and a history are. Each is declared once; its name in a deployment is conf's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Guarantee = Literal["configured", "prompt", "exactly-once"]
Column = tuple[str, str]  # name of a DynamoDB attribute and its type, S or N
Field = tuple[str, str, str]  # JSON field, DynamoDB attribute, its type


@dataclass(frozen=True)
class Topic:
    """A Kafka topic. ``id``: its name in settings (kafka.topics.<id>); ``default``: its usual name.

    key: the JSON field its records are keyed by. contract: the folder under state_schemas/events, or
    the struct, that says what is in it. kept: for ever, for a job without a savepoint reads it from
    the start. guarantee: how the job that lists it writes it: as ``kafka.delivery`` says, at once and
    at least once (``prompt``), or exactly once whatever the settings say.
    """

    id: str
    key: str
    contract: str
    default: str = ""
    kept: bool = False
    guarantee: Guarantee = "configured"

    def __post_init__(self) -> None:
        object.__setattr__(self, "default", self.default or self.id.replace("_", "-"))

    @property
    def prompt(self) -> Topic:
        """The same, not held back for larger batches nor until a checkpoint."""
        return replace(self, guarantee="prompt")

    @property
    def exactly_once(self) -> Topic:
        """The same, readers of committed records see each record once."""
        return replace(self, guarantee="exactly-once")


@dataclass(frozen=True)
class Index:
    """A global secondary index over the few items that have its key."""

    name: str
    key: tuple[Column, ...]


@dataclass(frozen=True)
class Table:
    """A DynamoDB table. ``id``: its name in settings (dynamodb.tables.<id>).

    key: the partition key, then the sort key. fields: what a job writes of a record, none where no
    job writes the table; ``by`` is the attribute that tells items apart. merge: a newer version
    changes only what it brings. versions: where it merges, attributes that have a version of their own,
    by the attribute that holds it: they are always written together, and are written too where a newer
    version of the item is there that did not bring them. ttl: the attribute (s since the epoch) by which
    items expire. streamed: its changes are, with old and new images.
    """

    id: str
    key: tuple[Column, ...]
    default: str = ""
    fields: tuple[Field, ...] = ()
    by: str = ""
    merge: bool = False
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    index: Index | None = None
    ttl: str | None = None
    streamed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "default", self.default or self.id.replace("_", "-"))


@dataclass(frozen=True)
class History:
    """Parquet files under one prefix on S3. ``id``: its name in settings (s3.prefixes.<id>).

    row_type: SQL type of a row. date: the column (epoch ms) whose UTC date names the folder; region:
    the column of the second folder level. identity: the columns that make a row the same row when a
    replay writes it again; none where rows are parts of sums, which no replay may write twice.
    """

    id: str
    default: str
    row_type: str
    date: str
    region: str | None
    identity: tuple[str, ...]


Resource = Topic | Table | History
