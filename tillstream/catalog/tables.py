"""Every table: hot items in DynamoDB, and histories, which are Parquet files on S3."""

from __future__ import annotations

from tillstream.catalog.resources import Field, History, Index, Table
from tillstream.state_schemas.tables import (
    archive_skipped,
    archived_receipt,
    archived_transaction,
    dead_letter,
    fraud_decision,
    held_addition,
    loyalty_entry,
    raw_record,
    sales_addition,
    shortage_line,
    stock_entry,
    tax_addition,
)


def _texts(*names: str) -> tuple[Field, ...]:
    return tuple((name, name, "S") for name in names)


def _numbers(*names: str) -> tuple[Field, ...]:
    return tuple((name, name, "N") for name in names)


# One item for each account: a customer's, or a household's. Of a customer who is in a household it says whose
# account holds the points; that changes by itself.
BALANCES = Table(
    "balances",
    key=(("customer_id", "S"),),
    default="loyalty-balances",
    by="customer_id",
    merge=True,
    versions={"household_version": ("household",)},
    fields=(
        *_texts("customer_id", "household"),
        *_numbers("balance", "pending", "version", "event_time_ms"),
        ("transaction_id", "last_transaction_id", "S"),
    ),
)

# Stock levels, one item for each store and product. People correct them here.
STOCK = Table(
    "stock",
    key=(("store", "S"), ("product", "S")),
    by="stock_key",
    streamed=True,
    fields=(
        *_texts("stock_key", "store", "product", "entry_id", "kind", "outcome"),
        *_texts("below_zero", "low", "open_orders", "mark", "unit"),
        *_numbers("version", "event_time_ms", "reorder_point", "order_up_to"),
        *_numbers("on_order", "daily_demand_milli", "uplift_percent", "run_out_ms", "counted_ms"),
        ("new_quantity", "quantity", "N"),
    ),
)

# Shelves and regions, one item for each place and product.
SHORTAGES = Table(
    "shortages",
    key=(("place", "S"), ("product", "S")),
    by="shelf",
    fields=(
        *_texts("shelf", "place", "product", "region", "status", "why", "shortage_id"),
        *_numbers("version", "at_ms", "since_ms", "stock", "lead_minutes"),
        *_numbers("early_ms", "run_out_ms", "late_ms", "demand_percent"),
    ),
)

# What a judgement says of a sale, and no verdict.
_JUDGED = (
    *("outcome", "reasons", "rules_version", "subject", "customer_id", "card_token", "currency"),
    *("score", "store", "till", "total_cents", "opened_at_ms", "watched_until_ms", "expires_at"),
)

# Opened by a judgement, closed by a verdict, which changes only what it brings. A verdict may come
# first, and what the customer said after it; so may what a till undid.
FRAUD_CASES = Table(
    "fraud_cases",
    key=(("transaction_id", "S"),),
    by="transaction_id",
    merge=True,
    versions={
        "judged_version": _JUDGED,
        "said_version": ("customer_said",),
        "undone_version": ("undone",),
        "ordered_version": ("ordered",),
    },
    index=Index("open-cases", (("open", "S"), ("event_time_ms", "N"))),
    ttl="expires_at",
    fields=(
        *_texts("transaction_id", "status", "open", "outcome", "reasons"),
        *_texts("rules_version", "subject", "customer_id", "card_token"),
        *_texts(
            "currency", "verdict_source", "customer_said", "undone", "ordered", "held", "till"
        ),  # in items of 0.1.0 the till is a number
        *_numbers("version", "score", "store", "total_cents"),
        *_numbers("event_time_ms", "opened_at_ms", "verdict_at_ms", "watched_until_ms"),
        ("expires_at_s", "expires_at", "N"),
    ),
)

# Cases for the loss-prevention team, one for each cashier, day and kind.
STAFF_CASES = Table(
    "staff_cases",
    key=(("case_id", "S"),),
    by="case_id",
    merge=True,
    index=Index("open-staff-cases", (("open", "S"), ("event_time_ms", "N"))),
    ttl="expires_at",
    fields=(
        *_texts("case_id", "kind", "code", "till", "cashier", "day", "figures", "currency"),
        *_texts("transaction_id", "status", "open"),
        *_numbers("version", "store", "event_time_ms", "opened_at_ms"),
        ("expires_at_s", "expires_at", "N"),
    ),
)

# Decisions with all that explains them.
FRAUD_EXPLANATIONS = Table(
    "fraud_explanations",
    key=(("transaction_id", "S"),),
    by="transaction_id",
    ttl="expires_at",
    fields=(
        *_texts("transaction_id", "outcome", "rules_version", "decision", "transaction", "shadow"),
        *_numbers("version", "event_time_ms"),
        ("expires_at_s", "expires_at", "N"),
    ),
)

# What `tillstream notify` has sent, and what is uncertain.
SENT_NOTICES = Table(
    "sent_notices",
    key=(("notice_id", "S"),),
    index=Index("open-notices", (("open", "S"), ("claimed_at_ms", "N"))),
    ttl="expires_at",
)

# How far `tillstream streams bridge` has read.
STREAM_POSITIONS = Table("stream_positions", key=(("shard", "S"),))

# -- histories: files in folders by date, most by region too ----------------------------------------

LEDGER = History(
    "ledger", "ledger/loyalty", loyalty_entry.ROW_TYPE,
    date="event_time_ms", region="region", identity=("customer_id", "entry_id"),
)  # fmt: skip
ARCHIVE = History(
    "receipts", "archive/receipts", archived_receipt.ROW_TYPE,
    date="ended_ms", region="region", identity=("transaction_id",),
)  # fmt: skip
# What was archived until 0.1.0, of contract v1: read, no longer written.
ARCHIVE_V1 = History(
    "archive", "archive/transactions", archived_transaction.ROW_TYPE,
    date="event_time_ms", region="region", identity=("transaction_id",),
)  # fmt: skip
# With the archive's rows and its dead letters, every record that it has read: a replay counts them.
ARCHIVE_SKIPPED = History(
    "archive_skipped", "archive/skipped", archive_skipped.ROW_TYPE,
    date="arrived_ms", region=None, identity=("origin",),
)  # fmt: skip
# What tills sent, as they sent it.
RAW_RECORDS = History(
    "raw_records", "archive/raw", raw_record.ROW_TYPE,
    date="arrived_ms", region=None, identity=("record_id",),
)  # fmt: skip
# What the shadow set would have decided is a row beside what was decided.
FRAUD_AUDIT = History(
    "fraud_audit", "fraud/audit", fraud_decision.ROW_TYPE,
    date="event_time_ms", region="region", identity=("transaction_id", "mode"),
)  # fmt: skip
# A promotion's entry has one id in all shelves.
STOCK_LEDGER = History(
    "stock_ledger", "ledger/stock", stock_entry.ROW_TYPE,
    date="event_time_ms", region=None, identity=("stock_key", "entry_id"),
)  # fmt: skip
# A shelf's line has only its version.
SHORTAGE_LINES = History(
    "shortages", "shortages", shortage_line.ROW_TYPE,
    date="at_ms", region="region", identity=("shelf", "version"),
)  # fmt: skip
SALES_BY_MINUTE = History(
    "sales_minutes", "sales/by-minute", sales_addition.ROW_TYPE,
    date="window_start_ms", region=None, identity=(),
)  # fmt: skip
SALES_BY_HOUR = History(
    "sales_hours", "sales/by-hour", sales_addition.ROW_TYPE,
    date="window_start_ms", region=None, identity=(),
)  # fmt: skip
TAX_BY_HOUR = History(
    "tax_hours", "sales/tax-by-hour", tax_addition.ROW_TYPE,
    date="window_start_ms", region=None, identity=(),
)  # fmt: skip
SALES_HELD = History(
    "sales_held", "sales/held", held_addition.ROW_TYPE,
    date="window_start_ms", region=None, identity=(),
)  # fmt: skip
# A redrive reads these by id, so a replay may write them again.
DEAD_LETTERS = History(
    "dead_letters", "dead-letters", dead_letter.ROW_TYPE,
    date="failed_at_ms", region=None, identity=("dead_letter_id",),
)  # fmt: skip

HOT: tuple[Table, ...] = tuple(x for x in list(vars().values()) if isinstance(x, Table))
HISTORIES: tuple[History, ...] = tuple(x for x in list(vars().values()) if isinstance(x, History))
HISTORY_BY_ID = {one.id: one for one in HISTORIES}
