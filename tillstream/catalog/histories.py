"""Every history on S3: Parquet files in folders by date, most by region too."""

from __future__ import annotations

from tillstream.catalog.resources import History
from tillstream.state_schemas.tables import (
    archived_transaction,
    dead_letter,
    fraud_decision,
    loyalty_entry,
    sales_addition,
    shortage_line,
    stock_entry,
)

LEDGER = History(
    "ledger", "ledger/loyalty", loyalty_entry.ROW_TYPE,
    date="event_time_ms", region="region", identity=("entry_id",),
)  # fmt: skip
ARCHIVE = History(
    "archive", "archive/transactions", archived_transaction.ROW_TYPE,
    date="event_time_ms", region="region", identity=("transaction_id",),
)  # fmt: skip
FRAUD_AUDIT = History(
    "fraud_audit", "fraud/audit", fraud_decision.ROW_TYPE,
    date="event_time_ms", region="region", identity=("transaction_id",),
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
# A redrive reads these by id, so a replay may write them again.
DEAD_LETTERS = History(
    "dead_letters", "dead-letters", dead_letter.ROW_TYPE,
    date="failed_at_ms", region=None, identity=("dead_letter_id",),
)  # fmt: skip

ALL: tuple[History, ...] = tuple(x for x in list(vars().values()) if isinstance(x, History))
BY_ID = {one.id: one for one in ALL}
