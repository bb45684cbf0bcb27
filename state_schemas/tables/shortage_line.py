"""Columns of the shelves' lines on S3, version 1: the fields of ``domain.shortage_line.Shortage``."""

ROW_TYPE = """ROW<
    shelf STRING NOT NULL, area STRING NOT NULL, place STRING NOT NULL,
    store INT NOT NULL, region STRING NOT NULL, product STRING NOT NULL,
    shortage_id STRING NOT NULL, status STRING NOT NULL, `before` STRING NOT NULL,
    version BIGINT NOT NULL, at_ms BIGINT NOT NULL, since_ms BIGINT NOT NULL,
    stock BIGINT, early_ms BIGINT, run_out_ms BIGINT, late_ms BIGINT,
    lead_minutes INT NOT NULL, demand_percent INT NOT NULL, silent_baskets INT NOT NULL,
    opens BOOLEAN NOT NULL, stale BOOLEAN NOT NULL, why STRING NOT NULL>"""
