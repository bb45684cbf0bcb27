"""Columns of the fraud audit on S3, version 1: the fields of ``fraud_actions.Recorded`` for people's
questions; ``decision`` is the whole decision as JSON text, ``transaction`` what came in."""

ROW_TYPE = """ROW<
    transaction_id STRING NOT NULL, mode STRING NOT NULL, outcome STRING NOT NULL,
    score DOUBLE NOT NULL, reasons STRING NOT NULL, rules_version STRING NOT NULL,
    watched BOOLEAN NOT NULL, subject STRING,
    store INT NOT NULL, till INT NOT NULL, region STRING NOT NULL,
    total_cents BIGINT NOT NULL, currency STRING NOT NULL,
    event_time_ms BIGINT NOT NULL, judged_at_ms BIGINT NOT NULL,
    decision STRING NOT NULL, `transaction` STRING NOT NULL>"""
