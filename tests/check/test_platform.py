"""The check reads topics that others write to as well: what is no document stops it no more than the jobs."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from tillstream.catalog import topics
from tillstream.check.platform import Platform
from tillstream.conf import load

JUNK = [None, b"", b"\xc0\xff", b"{", b"[1]", b"7", b"null", b"[" * 3000, b'{"n":1e999', b"{}",
        b'{"transaction_id":[1]}']  # fmt: skip
SALE = b'{"transaction_id":"T1","store":45,"business_day":"2026-11-24","currency":"ZAR","total":5,"lines":[]}'
SHORT = [b'{"transaction_id":"T1","total":5}', SALE.replace(b"[]", b'[],"taxes":[{"code":1}]')]


@pytest.fixture
def platform(monkeypatch) -> Platform:
    records = [SimpleNamespace(value=lambda raw=raw: raw) for raw in (*JUNK, *SHORT, SALE)]
    platform = Platform(load("local"))
    monkeypatch.setattr(platform, "messages", lambda topic: records)
    return platform


def test_what_is_no_transaction_in_the_topic_of_transactions_is_left_out(platform):
    assert list(platform.passed_on()) == [json.loads(SALE)]


def test_of_any_topic_only_json_objects_count(platform):
    assert len(list(platform.documents(topics.BY_ID["stock_orders"]))) == 5


def test_what_is_no_answer_about_points_is_left_out(platform):
    assert list(platform.answers()) == []


def record(
    raw: bytes | None, place: int = 0, topic: str = "", key: str = "", **headers: str
) -> Any:
    said = [(name.replace("_", "."), text.encode()) for name, text in headers.items()]
    return SimpleNamespace(value=lambda: raw, headers=lambda: said, key=key.encode, topic=lambda: topic,
                           partition=lambda: 0, offset=lambda: place)  # fmt: skip


def test_what_a_job_has_refused_is_left_out_of_the_topic_it_reads(platform, monkeypatch):
    asked = topics.BY_ID["stock_requests"]
    requests = [record(b'{"n":%d}' % n, n, "stock-requests") for n in range(3)]
    letters = [record(b"{}", key="kafka:stock-requests/0/1#abcd", tillstream_reason="not_json")]
    monkeypatch.setattr(platform, "messages", lambda of: requests if of is asked else letters)
    assert list(platform.accepted(asked)) == [{"n": 0}, {"n": 2}]


def test_the_mark_of_what_was_redriven_takes_no_dead_letters_place(platform, monkeypatch):
    identity = "kafka:till-transactions/0/1#abcd"
    letters = [
        record(b"{", key=identity, tillstream_reason="not_json"),
        record(b"", key=identity, tillstream_redriven_at_ms="5"),
        record(b"hello", key="somebody else's"),
    ]
    monkeypatch.setattr(platform, "messages", lambda of: letters)
    assert platform.dead_letters() == {identity: ("not_json", b"{")}
