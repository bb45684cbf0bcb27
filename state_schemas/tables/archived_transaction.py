"""Columns of the transaction archive on S3, version 1: the contract's fields and where they came from."""

ROW_TYPE = """ROW<
    arrived_ms BIGINT NOT NULL, origin STRING NOT NULL,
    `schema` INT NOT NULL, transaction_id STRING NOT NULL, store INT NOT NULL,
    region STRING NOT NULL, till INT NOT NULL, customer_id STRING, card_token STRING,
    payment_method STRING NOT NULL, event_time_ms BIGINT NOT NULL, currency STRING NOT NULL,
    lines ARRAY<ROW<product STRING NOT NULL, quantity INT NOT NULL,
                    unit_price_cents BIGINT NOT NULL, category STRING NOT NULL>> NOT NULL,
    total_cents BIGINT NOT NULL, kind STRING NOT NULL, refers_to STRING, points_to_redeem BIGINT>"""
