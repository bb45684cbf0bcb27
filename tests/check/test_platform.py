"""The check reads topics that others write to as well: what is no document stops it no more than the jobs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tillstream.catalog import topics
from tillstream.check.platform import Platform
from tillstream.conf import load

JUNK = [None, b"", b"\xc0\xff", b"{", b"[1]", b"7", b"null", b"[" * 3000, b'{"n":1e999', b"{}",
        b'{"transaction_id":[1]}']  # fmt: skip
SALE = b'{"transaction_id":"T1","total":5}'


@pytest.fixture
def platform(monkeypatch) -> Platform:
    records = [SimpleNamespace(value=lambda raw=raw: raw) for raw in (*JUNK, SALE)]
    platform = Platform(load("local"))
    monkeypatch.setattr(platform, "messages", lambda topic: records)
    return platform


def test_what_is_no_transaction_in_the_topic_of_transactions_is_left_out(platform):
    assert list(platform.passed_on()) == [{"transaction_id": "T1", "total": 5}]


def test_of_any_topic_only_json_objects_count(platform):
    assert len(list(platform.documents(topics.BY_ID["stock_orders"]))) == 3
