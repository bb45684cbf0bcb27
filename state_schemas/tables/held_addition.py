"""Columns of revenue that fraud holds on S3, version 1: what changed for sales of an hour of a store, to be
added up.

held, lost: sales, as counts that may be negative; ``held_cents``, ``lost_cents``: what their customers pay,
in minor units of ``currency``. A hold is +held, a release -held, a verdict of fraud -held +lost. The hour is
that of the sale."""

ROW_TYPE = """ROW<
    store_hour STRING NOT NULL, store INT NOT NULL,
    window_start_ms BIGINT NOT NULL, window_ms BIGINT NOT NULL, currency STRING NOT NULL,
    held BIGINT NOT NULL, held_cents BIGINT NOT NULL,
    lost BIGINT NOT NULL, lost_cents BIGINT NOT NULL>"""
