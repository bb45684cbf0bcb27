"""Names apart from everybody else's, for a test or a measurement on a shared stack."""

from __future__ import annotations

from typing import Any

from tillstream.catalog import tables, topics


def apart(name: str) -> dict[str, Any]:
    """Overrides of conf that begin every topic, table and prefix with ``name``."""
    return {
        "kafka": {"topics": {one.id: f"{name}-{one.default}" for one in topics.ALL}},
        "dynamodb": {"tables": {one.id: f"{name}-{one.default}" for one in tables.HOT}},
        "s3": {"prefixes": {one.id: f"{name}/{one.default}" for one in tables.HISTORIES}},
    }
