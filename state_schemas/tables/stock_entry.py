"""Columns of the stock ledger on S3, version 1: the fields of ``domain.stock.ledger.Entry``.

``unit``: of a till's line, ``each`` or a unit that is counted by its thousandths; null of other lines, which
count in the same, and of those before there was this column. ``counted_ms``: -1 where the shelf was never
counted; null in rows of before there was this column."""

ROW_TYPE = """ROW<
    entry_id STRING NOT NULL, stock_key STRING NOT NULL, store INT NOT NULL,
    product STRING NOT NULL, version BIGINT NOT NULL, kind STRING NOT NULL,
    outcome STRING NOT NULL, quantity BIGINT NOT NULL, moved BIGINT NOT NULL,
    old_quantity BIGINT NOT NULL, new_quantity BIGINT NOT NULL,
    event_time_ms BIGINT NOT NULL, behind_ms BIGINT NOT NULL,
    below_zero BOOLEAN NOT NULL, low BOOLEAN NOT NULL,
    reorder_point BIGINT NOT NULL, order_up_to BIGINT NOT NULL, on_order BIGINT NOT NULL,
    daily_demand_milli BIGINT NOT NULL, uplift_percent INT NOT NULL, run_out_ms BIGINT,
    open_orders STRING NOT NULL, unit STRING, counted_ms BIGINT>"""
