"""The settings as types: a misspelt or mistyped one is found here, before anything starts.

Money is in cents, durations carry their unit in the name. Names of topics, tables and prefixes are
asked for by what the catalogue declares: ``conf.topic(topics.NOTICES)``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tillstream.catalog.resources import History, Table, Topic

LOCAL = "local"  # the environment of the local stack


class _Base(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    pass


class KinesisSource(_Base, frozen=True):
    stream: str
    account: str
    endpoint: str | None
    start: Literal["TRIM_HORIZON", "LATEST"]
    fan_out: bool
    poll_interval_ms: int
    records_per_poll: int
    discover_shards_ms: int


class KafkaSource(_Base, frozen=True):
    bootstrap: str | None
    topic: str
    start: Literal["earliest", "latest"]
    offsets: dict[str, int]
    properties: dict[str, str]


class Source(_Base, frozen=True):
    kind: Literal["kinesis", "kafka"]
    uid: str
    start_ms: int | None
    until_ms: int | None
    kinesis: KinesisSource
    kafka: KafkaSource


class Kafka(_Base, frozen=True):
    bootstrap: str | None
    properties: dict[str, str]
    delivery: Literal["at-least-once", "exactly-once"]
    topics: dict[str, str]


class DynamoDb(_Base, frozen=True):
    endpoint: str | None
    tables: dict[str, str]
    in_flight: int
    buffered_items: int
    attempts: int
    request_timeout_ms: int
    replay_hold_ms: int


class S3(_Base, frozen=True):
    endpoint: str | None
    bucket: str
    scheme: str
    prefixes: dict[str, str]


class Aws(_Base, frozen=True):
    credentials: Literal["default", "basic"]


class Loyalty(_Base, frozen=True):
    cents_per_point: int
    point_value_cents: int
    horizon_days: int
    max_postings: int
    notify: bool


class Archive(_Base, frozen=True):
    dedupe_hours: int


class Reference(_Base, frozen=True):
    stores: str | None
    centres: str | None
    products: str | None


class Inventory(_Base, frozen=True):
    horizon_hours: int
    max_lines: int
    lead_hours: int
    lead_sd_hours: int
    review_hours: int
    safety_milli: int
    emergency_percent: int
    fewest_days: int
    patience_hours: int
    retry_hours: int
    handling_hours: int
    speed_kmh: int
    nearby_km: int
    nearby_stores: int
    centres_asked: int
    wait_ms: int


class Fraud(_Base, frozen=True):
    rules: str | None
    audit: Literal["suspicious", "all"]
    explain: Literal["suspicious", "all"]
    keep_days: int
    label_delay_days: int
    clock_ahead_hours: int
    profile_ttl_days: int
    card_ttl_days: int
    till_ttl_days: int
    linger_ms: int


class Notify(_Base, frozen=True):
    sender: Literal["sns", "file"]
    sns_endpoint: str | None
    sns_topics: dict[str, str]
    file: str | None
    per_second: dict[str, float]
    workers: int
    attempts: int
    lease_s: int
    max_age_hours: int
    remember_days: int


class Demand(_Base, frozen=True):
    utc_offset_minutes: int
    half_life_days: float


class Shortage(_Base, frozen=True):
    categories: list[str]
    max_shelves: int
    lead_minutes: int
    lead_minutes_by_store: dict[int, int]
    open_at_percent: int
    close_at_percent: int
    false_alarms_a_year: float
    stale_minutes: int
    ask_again_minutes: int
    wait_ms: int


class Savepoints(_Base, frozen=True):
    location: str | None
    hourly_for_hours: int
    daily_for_days: int


class State(_Base, frozen=True):
    write_versions: dict[str, int]


class Sales(_Base, frozen=True):
    dedupe_hours: int
    out_of_order_s: int
    idle_s: int


class Job(_Base, frozen=True):
    parallelism: int
    max_parallelism: int
    require_thread_mode: bool
    checkpoint_interval_ms: int | None
    replay_checkpoint_interval_ms: int


class Conf(_Base, frozen=True):
    """All settings of one deployment. ``environment``: whose file they came from, conf/<it>.yaml."""

    environment: str
    deployment: str
    region: str
    source: Source
    kafka: Kafka
    dynamodb: DynamoDb
    s3: S3
    aws: Aws
    reference: Reference
    loyalty: Loyalty
    archive: Archive
    inventory: Inventory
    demand: Demand
    shortage: Shortage
    sales: Sales
    fraud: Fraud
    notify: Notify
    savepoints: Savepoints
    state: State
    job: Job

    @property
    def local(self) -> bool:
        """Whether this is the local stack, where stand-ins take AWS's place."""
        return self.environment == LOCAL

    @property
    def source_properties(self) -> dict[str, str]:
        """Kafka's settings where the till transactions are read: all brokers', and the source's own."""
        return {**self.kafka.properties, **self.source.kafka.properties}

    def topic(self, topic: Topic) -> str:
        """The topic's name in this deployment."""
        return self.kafka.topics.get(topic.id, topic.default)

    def table(self, table: Table) -> str:
        """The table's name in this deployment."""
        return self.dynamodb.tables.get(table.id, table.default)

    def prefix(self, history: History) -> str:
        """The history's prefix in the bucket, without a slash at its ends."""
        return self.s3.prefixes.get(history.id, history.default).strip("/")

    def own_name(self, *parts: str) -> str:
        """A name nobody else has on a shared broker: ``<deployment>.<part>...``, e.g. the consumer
        group or a transactional id of a job."""
        return ".".join((self.deployment, *parts))
