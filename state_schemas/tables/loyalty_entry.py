"""Columns of the points ledger on S3, version 5: the fields of ``domain.loyalty.LedgerEntry``. Rows of
version 1 have no currency, those of version 2 no excluded_cents: what of total_cents is for goods that
earn nothing. Those of version 3 have no made_by: who decided an adjustment, "" for what a till sent. Those
of version 4 have neither pending: points of sales that fraud holds, beside the balance; nor member: who of a
household, whose account is customer_id, "" for others."""

ROW_TYPE = """ROW<
    entry_id STRING NOT NULL, customer_id STRING NOT NULL, version BIGINT NOT NULL,
    transaction_id STRING NOT NULL, refers_to STRING, kind STRING NOT NULL,
    outcome STRING NOT NULL, reason STRING,
    total_cents BIGINT NOT NULL, paid_cents BIGINT NOT NULL,
    earned BIGINT NOT NULL, redeemed BIGINT NOT NULL, delta BIGINT NOT NULL,
    balance BIGINT NOT NULL, event_time_ms BIGINT NOT NULL,
    store INT NOT NULL, region STRING NOT NULL, currency STRING,
    excluded_cents BIGINT, made_by STRING, pending BIGINT, member STRING>"""
