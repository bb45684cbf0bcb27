"""The bytes of the fraud job's state: what is written is read again, and other versions are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.sales import checked
from tillstream.domain.fraud.decision import Label
from tillstream.domain.fraud.sale import made_of
from tillstream.fraud.pure_job import PureJob
from tillstream.fraud.rules_file import packaged_rules
from tillstream.reference import packaged_clocks
from tillstream.sim.simulator import Simulator
from tillstream.state_schemas.keyed import fraud_counters, fraud_profile
from tillstream.state_schemas.keyed.versioned import UnknownVersion


@pytest.fixture(scope="module")
def job() -> PureJob:
    """States as a job makes them, verdicts among them."""
    made = PureJob(packaged_rules(packaged_clocks()).rules)
    for n, sent in enumerate(Simulator("normal", seed=5, count=600, customers=40, rate=0.01)):
        document = json.loads(sent.raw)
        at_ms = document["event_time_ms"]
        made.sale(made_of(checked(document)), at_ms)
        if n % 9 == 0:
            made.verdict(
                Label(
                    document["transaction_id"], n % 2 == 0, at_ms, at_ms + 1_000,
                    document["store"], document["till"], document.get("customer_id"),
                    document.get("card_token"),
                )
            )  # fmt: skip
    return made


def test_every_state_comes_back_as_it_went(job):
    for profile in job.profiles.values():
        assert fraud_profile.decode(fraud_profile.encode(profile)) == profile
    for counters in [*job.tills.values(), *job.cards.values()]:
        assert fraud_counters.decode(fraud_counters.encode(counters)) == counters
    assert any(profile.frauds for profile in job.profiles.values())


@pytest.mark.parametrize("schema", [fraud_counters, fraud_profile])
@pytest.mark.parametrize("data", [b"", b"\x7f", b"\xff\x00", b"\x80\x04pickled"])
def test_another_version_is_refused_by_name(schema: Any, data: bytes):
    with pytest.raises(UnknownVersion, match="restore with the release that wrote it"):
        schema.decode(data)


@pytest.mark.parametrize("schema", [fraud_counters, fraud_profile])
@pytest.mark.parametrize("body", [b"", b"\x90", b"\xc1", b"\x91\xa3abc"])
def test_bytes_that_are_no_state_are_refused(schema: Any, body: bytes):
    for version in range(1, schema.CURRENT + 1):
        with pytest.raises(ValueError, match=f"v{version}"):
            schema.decode(bytes([version]) + body)
