"""The fraud job's stages about staff: cases for people, and nothing else."""

from __future__ import annotations

import json

import msgspec
from msgspec.structs import replace

from tests.support.fraud_chain import T0, Chain
from tests.support.sales import checked, refund
from tillstream.domain.envelope import seal


def test_returns_of_a_cashier_reach_the_team_and_no_profile_no_hold_and_no_customer():
    chain = Chain()
    for n in range(200):
        document = refund(f"r{n}", f"s{n}", event_time_ms=T0 + n * 30_000, store=23, cents=200_000)
        receipt, at_ms = replace(checked(document), cashier="C-17"), T0 + n * 30_000
        record = seal(f"kafka:transactions/0/{n}", at_ms, msgspec.json.encode(receipt))
        chain._through([("23:3", record)])
    assert {case["case_id"] for case in chain.out["staff-cases"]} == {"returns:23:2025-11-24:C-17"}
    (told,) = chain.out["notices"]
    assert (told["kind"], told["recipient"]) == ("alert", "team:loss-prevention")
    versions = [case["version"] for case in chain.out["staff-cases"]]
    assert versions == sorted(set(versions))
    assert json.loads(chain.out["staff-cases"][-1]["figures"])["day_cents"] >= 20_000_000
    assert not chain.judge.state
    for name in ("holds", "cases", "audit", "explanations", "dead-letters"):
        assert not chain.out[name], name
