"""Small inputs that went wrong elsewhere, kept outside of this repository: each gives what is right."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest

from tests.support import ROOT
from tests.udfs.test_nothing_stops_a_stage import CONF, T0
from tillstream.domain import notice
from tillstream.domain.dead_letter import id_of
from tillstream.domain.envelope import Envelope
from tillstream.domain.fraud.decision import parse_label
from tillstream.domain.transaction import InvalidTransaction, parse
from tillstream.udfs.intake import intake_once

CASES = Path(os.environ.get("TILLSTREAM_CASES") or ROOT.parent / "shared" / "cases")
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no cases in {CASES}")


def raw(name: str) -> bytes:
    return (CASES / name).read_bytes().strip()


def test_a_notice_about_a_product_that_would_pass_for_a_card_is_sent():
    found = notice.parse(raw("notice-low-stock-of-a-gtin-13.json"))
    assert found.template == "low_stock"


@pytest.mark.parametrize("name", ["sale-uuid4-id.json", "sale-13-digit-order-id.json"])
def test_ids_of_any_form_are_accepted(name):
    assert parse(raw(name)).transaction_id == orjson.loads(raw(name))["transaction_id"]


@pytest.mark.parametrize(
    "name",
    [
        "label-empty-transaction-id.json",
        "label-labelled-19-nines.json",
        "label-token-ends-in-newline.json",
    ],
)
def test_a_label_that_cannot_be_used_is_refused(name):
    with pytest.raises(InvalidTransaction):
        parse_label(raw(name))


def test_a_till_of_2096_is_refused_and_the_others_are_not():
    door = intake_once(CONF)
    reasons = []
    for n, line in enumerate(raw("sale-of-2096-then-today.jsonl").splitlines()):
        try:
            door.take(Envelope(f"kafka:t/0/{n}", T0 + 86_400_000, line))
        except InvalidTransaction as error:
            reasons.append(error.reason)
    assert reasons == ["clock_ahead"]


def test_three_faults_of_one_aggregate_are_three_dead_letters():
    lines = raw("kpl-aggregated-record-three-faults.jsonl").splitlines()
    for line in lines:
        with pytest.raises(InvalidTransaction):
            parse(line)
    assert len({id_of("kinesis:t/s/1", line) for line in lines}) == len(lines) == 3


def test_three_sales_in_one_record_have_ids_of_their_own():
    lines = raw("three-sales-in-one-record.ndjson").splitlines()
    assert len({parse(line).transaction_id for line in lines}) == 3
