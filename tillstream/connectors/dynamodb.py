"""Hot items in DynamoDB: one per key, the newest version wins."""

from __future__ import annotations

from collections.abc import Sequence

from pyflink.datastream import DataStream

from tillstream.conf import Conf
from tillstream.connectors.gateway import add_sink, ours

# JSON field, attribute, type
BALANCE = (
    ("customer_id", "customer_id", "S"),
    ("balance", "balance", "N"),
    ("version", "version", "N"),
    ("transaction_id", "last_transaction_id", "S"),
    ("event_time_ms", "event_time_ms", "N"),
)
STOCK = (
    *(
        (name, name, "S")
        for name in ("stock_key", "store", "product", "entry_id", "kind", "outcome")
    ),
    *((name, name, "S") for name in ("below_zero", "low", "open_orders", "mark")),
    *((name, name, "N") for name in ("version", "event_time_ms", "reorder_point", "order_up_to")),
    *((name, name, "N") for name in ("on_order", "daily_demand_milli", "uplift_percent")),
    ("new_quantity", "quantity", "N"),
    ("run_out_ms", "run_out_ms", "N"),
)

SHORTAGE = (
    *((name, name, "S") for name in ("shelf", "place", "product", "region", "status", "why")),
    ("shortage_id", "shortage_id", "S"),
    *((name, name, "N") for name in ("version", "at_ms", "since_ms", "stock", "lead_minutes")),
    *((name, name, "N") for name in ("early_ms", "run_out_ms", "late_ms", "demand_percent")),
)


def stock_sink(stream: DataStream, conf: Conf, uid: str) -> None:
    """Stock ledger entries (JSON bytes) as levels, one item a store and product."""
    hot_item_sink(stream, conf, conf.dynamodb.tables["stock"], STOCK, "stock_key", uid)


def shortage_sink(stream: DataStream, conf: Conf, uid: str) -> None:
    """Lines of shelves and regions (JSON bytes), one item a place and product."""
    hot_item_sink(stream, conf, conf.dynamodb.tables["shortages"], SHORTAGE, "shelf", uid)


# A case of the fraud job: opened by a judgement, closed by a verdict.
CASE = (
    *((name, name, "S") for name in ("transaction_id", "status", "open", "outcome", "reasons")),
    *((name, name, "S") for name in ("rules_version", "subject", "customer_id", "card_token")),
    *((name, name, "S") for name in ("currency", "verdict_source")),
    *((name, name, "N") for name in ("version", "score", "store", "till", "total_cents")),
    *((name, name, "N") for name in ("event_time_ms", "opened_at_ms", "verdict_at_ms")),
    ("watched_until_ms", "watched_until_ms", "N"),
    ("expires_at_s", "expires_at", "N"),
)
EXPLANATION = (
    *((name, name, "S") for name in ("transaction_id", "outcome", "rules_version")),
    *((name, name, "S") for name in ("decision", "transaction", "shadow")),
    *((name, name, "N") for name in ("version", "event_time_ms")),
    ("expires_at_s", "expires_at", "N"),
)


def case_sink(stream: DataStream, conf: Conf, table: str, uid: str) -> None:
    """Cases (JSON bytes), one item a transaction; a verdict changes only what it brings."""
    hot_item_sink(stream, conf, table, CASE, "transaction_id", uid, merge=True, apart=True)


def explanation_sink(stream: DataStream, conf: Conf, table: str, uid: str) -> None:
    """Decisions with all that explains them (JSON bytes), one item a transaction."""
    hot_item_sink(stream, conf, table, EXPLANATION, "transaction_id", uid, apart=True)


def balance_sink(stream: DataStream, conf: Conf, uid: str) -> None:
    """Ledger entries (JSON bytes) as balances, one item a customer."""
    hot_item_sink(stream, conf, conf.dynamodb.tables["balances"], BALANCE, "customer_id", uid)


def hot_item_sink(
    stream: DataStream,
    conf: Conf,
    table: str,
    attributes: Sequence[tuple[str, str, str]],
    key: str,
    uid: str,
    version: str = "version",
    merge: bool = False,
    apart: bool = False,
) -> None:
    """JSON bytes to ``table``. ``attributes``: (JSON field, attribute, S or N); ``key`` and
    ``version`` name attributes. An item is replaced only by a version that is not older; with
    ``merge`` it is changed where the newer one has a field, and null removes. ``apart``: in a thread of
    its own, so that its wait at a checkpoint holds nobody up."""
    settings = conf.dynamodb
    sink = ours().HotItemSink(table, conf.region).endpoint(settings.endpoint)
    if conf.aws.credentials == "basic":
        sink.basicCredentials()
    for field, attribute, kind in attributes:
        sink.attribute(field, attribute, kind)
    if merge:
        sink.merge()
    sink.key(key).version(version).limits(
        settings.in_flight,
        settings.buffered_items,
        settings.attempts,
        settings.request_timeout_ms,
    ).held(settings.replay_hold_ms)
    attached = add_sink(stream, sink, uid, f"{table} to DynamoDB")
    if apart:
        attached.disableChaining()
