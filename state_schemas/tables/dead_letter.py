"""Columns of dead letters on S3, version 1: the fields of ``domain.dead_letter.DeadLetter``."""

ROW_TYPE = """ROW<
    dead_letter_id STRING NOT NULL, job STRING NOT NULL, stage STRING NOT NULL,
    reason STRING NOT NULL, message STRING NOT NULL, raw_b64 STRING NOT NULL,
    origin STRING NOT NULL, schema_version INT NOT NULL, failed_at_ms BIGINT NOT NULL>"""
