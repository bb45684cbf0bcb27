"""Columns of tracked taxes on S3, version 1: what a window has of one tax of a store's day, to be added up.

``business_day``: the store's, as the till says it. ``rate``: percent as text, "" where nobody says one.
``added``: the tax came on top of the lines' amounts, else it was in them. ``receipts``: how many have it.
``net_cents``: what it is on, without the tax; ``receipts_without_net``: of how many receipts nobody knows
that, which are missing in it. A void takes away what its receipt added, and is a receipt of its own.
``late``: a receipt that came after its window; add it to the window's other rows. Money is in minor units
of ``currency``."""

ROW_TYPE = """ROW<
    store_day STRING NOT NULL, store INT NOT NULL, business_day STRING NOT NULL,
    currency STRING NOT NULL, code STRING NOT NULL, rate STRING NOT NULL, added BOOLEAN NOT NULL,
    window_start_ms BIGINT NOT NULL, window_ms BIGINT NOT NULL, receipts BIGINT NOT NULL,
    tax_cents BIGINT NOT NULL, net_cents BIGINT NOT NULL, receipts_without_net BIGINT NOT NULL,
    late BOOLEAN NOT NULL>"""
