"""A record's key is the simulator's: the customer, else the transaction's id; else what was said."""

from __future__ import annotations

import json

import pytest

from tillstream.sim.simulator import Faults, Simulator
from tillstream.till.keys import key_of


@pytest.mark.parametrize("contract", ["v1", "v2"])
def test_every_simulated_transaction_gets_the_key_it_is_sent_by(contract: str) -> None:
    traffic = Simulator("normal", 7, count=300, contract=contract, faults=Faults(), refunds=0.2)
    for sent in traffic:
        assert key_of(sent.raw, "till") == sent.key


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff\xfe", b"[1]", b"17", b'{"customer_id": 5}', b"[" * 100_000, b'{"transaction_id": ""}',
     b'{"loyalty": [], "customer_id": null}', b'{"loyalty": {"customer": {}}}'],
)  # fmt: skip
def test_what_is_no_transaction_has_the_tills_own_key(raw: bytes) -> None:
    assert key_of(raw, "till-7") == "till-7"


def test_a_key_is_always_one_that_kinesis_takes() -> None:
    for said in ("C" * 257, "\ud800", "é" * 256):
        key = key_of(json.dumps({"customer_id": said}).encode(), "till")
        assert 0 < len(key) <= 256
        key.encode()
