"""Settings: conf/base.yaml, then conf/<env>.yaml, then what the running platform says.

The platform's word is the local stack's stack.json (endpoints on free ports) or, on Amazon Managed
Service for Apache Flink, the property group ``tillstream`` of the application.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from tillstream.errors import Problem

PACKAGE = Path(__file__).resolve().parent
RESOURCES = PACKAGE / "resources"  # conf/ and java/, linked in a clone, copied into the wheel
ROOT = PACKAGE.parent  # of a clone, or where packages are installed
AMSF_PROPERTIES = Path("/etc/flink/application_properties.json")


class ConfError(Problem, ValueError):
    """A setting is missing or wrong; the message names the setting."""


class _Base(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    pass


class KinesisSource(_Base, frozen=True):
    stream: str
    account: str
    endpoint: str | None
    start: Literal["TRIM_HORIZON", "LATEST"]
    fan_out: bool
    consumer_name: str
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


class Inventory(_Base, frozen=True):
    stores: str | None
    centres: str | None
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
    prices: str | None
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
    """All settings of one deployment. Money is in cents, durations carry their unit in the name."""

    region: str
    source: Source
    kafka: Kafka
    dynamodb: DynamoDb
    s3: S3
    aws: Aws
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


def is_clone() -> bool:
    """Whether this runs from a clone of the repository rather than from an installed wheel."""
    return (ROOT / "setup.py").exists()


def own_folder() -> Path:
    """Where what is built and kept goes by default: <repo>/.tillstream, or ~/.tillstream of a wheel."""
    return (ROOT if is_clone() else Path.home()) / ".tillstream"


def home() -> Path:
    """Where the local stack keeps its state: $TILLSTREAM_HOME, else ``own_folder``."""
    return Path(os.environ.get("TILLSTREAM_HOME") or own_folder())


def stack_file() -> Path:
    """The one record of the local stack's endpoints and processes."""
    return home() / "stack" / "stack.json"


def load(env: str | None = None, overrides: dict[str, Any] | None = None) -> Conf:
    """Settings for ``env`` ($TILLSTREAM_ENV, else local).

    ``overrides`` is a nested dict, or the JSON of one in $TILLSTREAM_CONF.

    Raises ConfError with the path of the wrong setting.
    """
    env = env or os.environ.get("TILLSTREAM_ENV") or "local"
    merged = _read(_conf_dir() / "base.yaml")
    merged = merge(merged, _read(_conf_dir() / f"{env}.yaml"))
    if env == "local" and stack_file().exists():
        merged = merge(merged, endpoints(json.loads(stack_file().read_text())))
    if AMSF_PROPERTIES.exists():
        merged = merge(merged, _amsf(json.loads(AMSF_PROPERTIES.read_text())))
    if os.environ.get("TILLSTREAM_CONF"):
        merged = merge(merged, json.loads(os.environ["TILLSTREAM_CONF"]))
    merged = merge(merged, overrides or {})
    try:
        return msgspec.convert(merged, Conf, strict=False)
    except msgspec.ValidationError as error:
        raise ConfError(f"conf/{env}.yaml with base.yaml: {error}") from None


def _conf_dir() -> Path:
    return Path(os.environ.get("TILLSTREAM_CONF_DIR") or RESOURCES / "conf")


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise ConfError(f"no {path.name} in conf/; known environments: {', '.join(known)}")
    return yaml.safe_load(path.read_text()) or {}


def endpoints(stack: dict[str, Any]) -> dict[str, Any]:
    """stack.json as a layer of settings."""
    bootstrap = stack["kafka"]["bootstrap"]
    return {
        "source": {
            "kinesis": {"endpoint": stack["kinesis"]["endpoint"]},
            "kafka": {"bootstrap": bootstrap},
        },
        "kafka": {"bootstrap": bootstrap},
        "dynamodb": {"endpoint": stack["dynamodb"]["endpoint"]},
        "s3": {"endpoint": stack["s3"]["endpoint"]},
        "notify": {"sns_endpoint": stack["kinesis"]["endpoint"]},
    }


def _amsf(groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Property group ``tillstream``: dotted names, e.g. ``source.kinesis.stream``."""
    out: dict[str, Any] = {}
    for group in groups:
        if group.get("PropertyGroupId") == "tillstream":
            for dotted, value in group["PropertyMap"].items():
                node = out
                *parents, leaf = dotted.split(".")
                for name in parents:
                    node = node.setdefault(name, {})
                node[leaf] = value
    return out


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid over it, dict by dict; neither is changed."""
    out = dict(base)
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(out.get(name), dict):
            out[name] = merge(out[name], value)
        else:
            out[name] = value
    return out
