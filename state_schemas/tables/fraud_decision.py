"""Columns of the fraud audit on S3, version 1: the fields of ``fraud_actions.Recorded`` for people's
questions; ``decision`` is the whole decision as JSON text, ``transaction`` the canonical transaction as
the front door wrote it. Rows of 0.1.0 have contract v1 there, and no ``till_name``. ``till``: null where
the till's name is no number."""

ROW_TYPE = """ROW<
    transaction_id STRING NOT NULL, mode STRING NOT NULL, outcome STRING NOT NULL,
    score DOUBLE NOT NULL, reasons STRING NOT NULL, rules_version STRING NOT NULL,
    watched BOOLEAN NOT NULL, subject STRING,
    store INT NOT NULL, till INT, till_name STRING, region STRING NOT NULL,
    total_cents BIGINT NOT NULL, currency STRING NOT NULL,
    event_time_ms BIGINT NOT NULL, judged_at_ms BIGINT NOT NULL,
    decision STRING NOT NULL, `transaction` STRING NOT NULL>"""
