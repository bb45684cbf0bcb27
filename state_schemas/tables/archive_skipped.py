"""Columns of what the archive read and did not keep, version 1: a replay must know of every record.

``origin`` as in the archive, or ``kafka:topic/partition/first-last`` of offsets without a record.
``why``: ``repeated`` (its transaction_id was archived already) or ``no record``.
"""

ROW_TYPE = "ROW<arrived_ms BIGINT NOT NULL, origin STRING NOT NULL, why STRING NOT NULL>"
