"""Columns of the archive on S3: the front door's transactions, and where they stood in its stream.

``place``, ``taken_ms``: in that stream, ``kafka:topic/partition/offset``, and when the broker took it there.
All others are the fields of `domain.receipt.canonical.Receipt`; null is a field's default. ``origin`` and
``arrived_ms`` are those of the raw record.
"""

ROW_TYPE = """ROW<
    place STRING NOT NULL, taken_ms BIGINT NOT NULL, version INT,
    transaction_id STRING NOT NULL, kind STRING, source STRING NOT NULL,
    store INT NOT NULL, region STRING NOT NULL, till STRING NOT NULL,
    ended_ms BIGINT NOT NULL, offset_min INT NOT NULL, business_day STRING NOT NULL,
    currency STRING NOT NULL, total BIGINT NOT NULL,
    lines ARRAY<ROW<kind STRING NOT NULL, product STRING NOT NULL, amount BIGINT NOT NULL,
                    paid BIGINT NOT NULL, thousandths BIGINT, unit STRING, category STRING,
                    list_price BIGINT, off BIGINT, tax BIGINT, back_to STRING, `of` STRING,
                    reason STRING, agency STRING, promotions ARRAY<STRING>, expires STRING,
                    lot STRING, taxed ARRAY<INT>, taxes ARRAY<BIGINT>>> NOT NULL,
    tenders ARRAY<ROW<kind STRING NOT NULL, amount BIGINT NOT NULL, card_token STRING,
                      cashback BIGINT, `foreign` STRING>>,
    tax BIGINT, rounding BIGINT, customer STRING, points_asked BIGINT, points_granted BIGINT,
    voids STRING, cashier STRING, channel STRING, offline BOOLEAN, sequence BIGINT, began_ms BIGINT,
    declined INT, voided INT, key STRING, arrived_ms BIGINT, origin STRING,
    taxes ARRAY<ROW<code STRING NOT NULL, amount BIGINT NOT NULL, rate STRING, added BOOLEAN, net BIGINT>>>"""
