"""The settings as types: a misspelt or mistyped one is found here, before anything starts.

Money is in cents, durations carry their unit in the name. Names of topics, tables and prefixes are
asked for by what the catalogue declares: ``conf.topic(topics.NOTICES)``.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tillstream.catalog.entry import Job as Entry
from tillstream.catalog.resources import History, Table, Topic
from tillstream.catalog.topics import TRANSACTIONS
from tillstream.conf.infra import Infra
from tillstream.conf.till import Till

LOCAL = "local"  # the environment of the local stack

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
CurrencyCode = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Hour = Annotated[int, Meta(ge=0, le=23)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Rate = Annotated[float, Meta(gt=0, le=1e6)]  # neither infinite nor NaN
CheckpointMs = Annotated[int, Meta(ge=10)]  # the engine takes no less
Text = Annotated[str, Meta(pattern=r"\S")]
# It begins names of Kafka groups, of transactional ids and of Kinesis consumers.
Deployment = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,40}\Z")]


class _Base(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    pass


class KinesisSource(_Base, frozen=True):
    stream: str
    account: str
    endpoint: str | None
    start: Literal["TRIM_HORIZON", "LATEST"]
    positions: dict[str, str]
    poll_interval_ms: NotNegative
    records_per_poll: Positive
    discover_shards_ms: int


class KafkaSource(_Base, frozen=True):
    bootstrap: str | None
    topic: str
    from_archive: bool
    start: Literal["earliest", "latest"]
    offsets: dict[str, int]
    accepted_loss: dict[str, list[int]]
    properties: dict[str, str]


class Source(_Base, frozen=True):
    kind: Literal["kinesis", "kafka"]
    uid: str
    start_ms: int | None
    until_ms: int | None
    clock_ahead_minutes: NotNegative
    require_append_time: bool
    kinesis: KinesisSource
    kafka: KafkaSource

    @property
    def clock_ahead_ms(self) -> int:
        return self.clock_ahead_minutes * 60_000

    @property
    def stream(self) -> str:
        """``kafka:<topic>`` or ``kinesis:<stream>``, as origins of what came through it begin."""
        if self.kind == "kafka":
            return f"kafka:{self.kafka.topic}"
        return f"kinesis:{self.kinesis.stream}"


class TransactionsTopic(_Base, frozen=True):
    from_archive: bool
    start: Literal["earliest", "latest"]
    offsets: dict[str, int]
    accepted_loss: dict[str, list[int]]
    topic: str | None


class Transactions(_Base, frozen=True):
    """Where the front door's stream is read; a `Source` of its own kind."""

    uid: str
    start_ms: int | None
    until_ms: int | None
    require_append_time: bool
    kafka: TransactionsTopic


class Kafka(_Base, frozen=True):
    bootstrap: str | None
    properties: dict[str, str]
    delivery: Literal["at-least-once", "exactly-once"]
    topics: dict[str, str]


class DynamoDb(_Base, frozen=True):
    endpoint: str | None
    tables: dict[str, str]
    in_flight: Positive
    buffered_items: Positive
    give_up_after_s: Positive
    request_timeout_ms: Positive
    replay_hold_ms: NotNegative


class S3(_Base, frozen=True):
    endpoint: str | None
    bucket: Text
    scheme: str
    prefixes: dict[str, str]


class Aws(_Base, frozen=True):
    credentials: Literal["default", "basic"]


class LoyaltyTerms(_Base, frozen=True):
    per_point: Positive
    point_value: NotNegative


class Loyalty(_Base, frozen=True):
    terms: dict[CurrencyCode, LoyaltyTerms]
    earn_nothing: list[str]
    horizon_days: NotNegative
    max_postings: Positive
    hold_minutes: Positive
    max_holds: Positive
    notify: bool


class Archive(_Base, frozen=True):
    dedupe_hours: NotNegative


class Intake(_Base, frozen=True):
    dedupe_hours: NotNegative
    keep_raw: bool
    kinds: dict[str, Literal["gift_card", "agency", "deposit", "bottle_return", "fee", "coupon"]]
    mappings: list[str]
    unknown_stores: Literal["refuse", "accept"]
    other_currencies: Literal["refuse", "accept"]
    tax_rates: Literal["refuse", "accept"]
    scales: list[Annotated[str, Meta(pattern=r"^[0-9IPWV.C]{13}\Z")]]


class Reference(_Base, frozen=True):
    stores: str | None
    centres: str | None
    products: str | None
    rates: str | None
    bundles: str | None


class Inventory(_Base, frozen=True):
    horizon_hours: NotNegative
    max_lines: Positive
    lead_hours: NotNegative
    lead_sd_hours: NotNegative
    review_hours: NotNegative
    safety_milli: int
    emergency_percent: NotNegative
    fewest_days: NotNegative
    patience_hours: NotNegative
    retry_hours: Positive
    handling_hours: NotNegative
    speed_kmh: Positive
    nearby_km: NotNegative
    nearby_stores: NotNegative
    centres_asked: NotNegative
    count_behind_hours: Positive
    report_hour: Hour
    transfer_wait_hours: Positive
    wait_ms: NotNegative


class StaffLimit(_Base, frozen=True):
    hour_count: Positive
    hour_cents: NotNegative
    day_count: Positive
    day_cents: NotNegative
    times: Rate


class Staff(_Base, frozen=True):
    """See ``domain.staff.Limits``. Of refunds to cards that did not buy 64 are kept per cashier."""

    returns: StaffLimit
    voids: StaffLimit
    overrides: StaffLimit
    loyalty_count: Positive
    loyalty_percent: Percent
    cards_count: Annotated[int, Meta(ge=1, le=32)]
    cards_cents: NotNegative


class Answers(_Base, frozen=True):
    release_cents: NotNegative
    minutes: Positive
    decline_on_no: bool


class Fraud(_Base, frozen=True):
    rules: str | None
    currency: CurrencyCode
    audit: Literal["suspicious", "all"]
    explain: Literal["suspicious", "all"]
    keep_days: NotNegative
    label_delay_days: NotNegative
    profile_ttl_days: NotNegative
    card_ttl_days: NotNegative
    till_ttl_days: NotNegative
    staff_ttl_days: NotNegative
    staff: Staff
    texts: str | None
    languages: dict[str, str]
    answers: Answers
    linger_ms: NotNegative


class Notify(_Base, frozen=True):
    sender: Literal["sns", "file"]
    sns_endpoint: str | None
    sns_topics: dict[str, str]
    file: str | None
    per_second: dict[str, Rate]
    workers: Positive
    attempts: Positive
    lease_s: Positive
    max_age_hours: Positive
    remember_days: Positive


class Demand(_Base, frozen=True):
    half_life_days: Rate


class Shortage(_Base, frozen=True):
    categories: list[str]
    max_shelves: NotNegative
    lead_minutes: Positive
    lead_minutes_by_store: dict[int, Positive]
    open_at_percent: Percent
    close_at_percent: Percent
    false_alarms_a_year: Annotated[float, Meta(ge=0, le=1e6)]
    stale_minutes: NotNegative
    ask_again_minutes: Positive
    wait_ms: int


class Savepoints(_Base, frozen=True):
    location: str | None
    hourly_for_hours: NotNegative
    daily_for_days: NotNegative


class State(_Base, frozen=True):
    write_versions: dict[str, int]


class Sales(_Base, frozen=True):
    dedupe_hours: NotNegative
    out_of_order_s: NotNegative
    idle_s: Positive
    held_days: NotNegative


class Deploy(_Base, frozen=True):
    """Of `tillstream deploy`. endpoint: of a local service in place of Amazon's."""

    endpoint: str | None
    parallelism_per_kpu: Annotated[int, Meta(ge=1, le=8)]
    checkpoint_interval_ms: CheckpointMs
    checkpoint_pause_ms: NotNegative
    healthy_checkpoints: Positive
    healthy_minutes: Positive


class Job(_Base, frozen=True):
    parallelism: Positive
    max_parallelism: Annotated[int, Meta(ge=1, le=32768)]
    require_thread_mode: bool
    checkpoint_interval_ms: CheckpointMs | None
    replay_checkpoint_interval_ms: CheckpointMs


class Conf(_Base, frozen=True):
    """All settings of one deployment. ``environment``: whose file they came from, conf/<it>.yaml."""

    environment: str
    deployment: Deployment
    region: Text
    source: Source
    transactions: Transactions
    kafka: Kafka
    dynamodb: DynamoDb
    s3: S3
    aws: Aws
    reference: Reference
    loyalty: Loyalty
    archive: Archive
    intake: Intake
    inventory: Inventory
    demand: Demand
    shortage: Shortage
    sales: Sales
    fraud: Fraud
    notify: Notify
    savepoints: Savepoints
    state: State
    deploy: Deploy
    job: Job
    infra: Infra
    till: Till

    @property
    def local(self) -> bool:
        """Whether this is the local stack, where stand-ins take AWS's place."""
        return self.environment == LOCAL

    @property
    def source_properties(self) -> dict[str, str]:
        """Kafka's settings where the till transactions are read: all brokers', and the source's own."""
        return {**self.kafka.properties, **self.source.kafka.properties}

    def of(self, job: Entry | None) -> Conf:
        """These settings as ``job`` goes by them: its ``source`` is where it reads transactions, that of
        the tills or of the front door. Of a job that is not in the catalogue they are as they are."""
        if job is None or job.source == "source":
            return self
        read = self.transactions
        kafka = KafkaSource(
            bootstrap=self.kafka.bootstrap,
            topic=read.kafka.topic or self.topic(TRANSACTIONS),
            from_archive=read.kafka.from_archive,
            start=read.kafka.start,
            offsets=read.kafka.offsets,
            accepted_loss=read.kafka.accepted_loss,
            properties={},
        )
        source = Source(
            kind="kafka",
            uid=read.uid,
            start_ms=read.start_ms,
            until_ms=read.until_ms,
            clock_ahead_minutes=self.source.clock_ahead_minutes,
            require_append_time=read.require_append_time,
            kinesis=self.source.kinesis,
            kafka=kafka,
        )
        return msgspec.structs.replace(self, source=source)

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
