"""Columns of tracked sales on S3, version 1: what a window of a shelf sold, to be added up.

``late``: a line that came after its window; add it to the window's other rows. ``sold``, ``returned``: pieces
where ``unit`` is ``each``, else thousandths of it. Money is in minor units of ``currency``, which is null in
rows of before there was this column, and of windows that were open then. Prices are of one ``unit``;
``list_price_cents`` is null for a product that is not on the price list."""

ROW_TYPE = """ROW<
    shelf STRING NOT NULL, store INT NOT NULL, product STRING NOT NULL,
    window_start_ms BIGINT NOT NULL, window_ms BIGINT NOT NULL, lines BIGINT NOT NULL,
    sold BIGINT NOT NULL, returned BIGINT NOT NULL,
    sold_cents BIGINT NOT NULL, returned_cents BIGINT NOT NULL,
    lowest_price_cents BIGINT NOT NULL, highest_price_cents BIGINT NOT NULL,
    list_price_cents BIGINT, off_list BOOLEAN NOT NULL, late BOOLEAN NOT NULL,
    currency STRING, unit STRING>"""
