"""Columns of the raw records that intake took, version 1: their bytes as they came.

``record_id``: the record's ``origin``, which the canonical transaction has too, and a hash of its bytes,
for several records may share an origin. ``transaction_id``: null of another maker's document, in which
several transactions may be. ``raw``: masked is whatever in its free text is like a card number. Records
that were refused are in the dead letters, repeats nowhere.
"""

ROW_TYPE = """ROW<
    record_id STRING NOT NULL,
    origin STRING NOT NULL,
    arrived_ms BIGINT NOT NULL,
    transaction_id STRING,
    `raw` BYTES NOT NULL
>"""
