"""What a month costs is exact, says where each price is from, and grows with what costs more."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.infra import golden
from tillstream import catalog, conf
from tillstream.errors import Problem
from tillstream.infra import cost
from tillstream.infra.cost import QUOTED, UNVERIFIED, Line, Price
from tillstream.sizing import model as sizes

GROCER = sizes.Shop(15_000, 40_000_000, 2_900)
JOBS = catalog.jobs()


def of(
    shop: sizes.Shop = GROCER, region: str = "af-south-1", months: int = 12, **infra: Any
) -> list[Line]:
    settings = conf.load("prod", {"infra": infra})
    return cost.lines(shop, settings, JOBS, cost.load(region), months)


def line(found: list[Line], service: str, what: str) -> Line:
    (one,) = [one for one in found if (one.service, one.what) == (service, what)]
    return one


def test_cents_are_counted_exactly_and_lines_add_up():
    price = Price(Decimal("0.005"), "thousand", QUOTED, "")
    assert Line("S3", "x", Decimal("1"), price).usd == Decimal("0.01")  # half a cent is one
    found = of()
    assert cost.total(found) == sum(one.usd for one in found)
    assert all(one.usd == one.usd.quantize(Decimal("0.01")) for one in found)


def test_kpus_cost_what_sizing_counts_of_them():
    found = line(of(region="us-east-1"), "Managed Flink", "KPUs, one per job to orchestrate")
    kpus = sizes.size(GROCER, sizes.load()).kpus
    assert found.quantity == kpus * 730
    assert found.usd == (Decimal(kpus * 730) * Decimal("0.11")).quantize(Decimal("0.01"))


def test_a_region_without_a_price_of_its_own_takes_that_of_home_times_its_factor_and_says_so():
    home, cape = cost.load("us-east-1"), cost.load("af-south-1")
    assert home.prices["kpu_hour"].status == QUOTED
    assert cape.prices["kpu_hour"].status == UNVERIFIED
    assert cape.prices["kpu_hour"].usd == Decimal("0.11") * Decimal("1.33")
    assert cape.prices["files"] == Price(
        Decimal("0.0274"), home.prices["files"].per, QUOTED, cape.prices["files"].source
    )


def test_every_price_is_a_decimal_with_a_source_and_a_status():
    for name, price in cost._data()["prices"].items():
        assert cost.HOME in price, name
        for region, one in price.items():
            if region != "per":
                assert region in cost.regions()
                assert isinstance(one["usd"], str)
                assert one["status"] in (QUOTED, UNVERIFIED)
                assert one["source"]


def test_a_month_of_a_busier_shop_costs_more():
    quiet = of(GROCER._replace(tx_per_second=100, tx_per_day=10_000))
    assert cost.total(quiet) < cost.total(of())


def test_files_grow_older_and_cheaper_but_cost_more_every_month():
    def files(months: int) -> dict[str, Decimal]:
        return {one.what: one.usd for one in of(months=months) if one.what.startswith("files")}

    assert list(files(1)) == ["files, young: of 1 months"]
    assert list(files(14)) == ["files, young: of 1 months", "files, older: of 12 months",
                               "files, old: of 1 months"]  # fmt: skip
    assert sum(files(14).values()) > sum(files(12).values()) > sum(files(1).values())


def test_a_stream_of_shards_is_paid_by_shards_and_no_fewer_than_traffic_takes():
    found = of(stream={"shards": 4})
    assert line(found, "Kinesis", "19 shards").quantity == 19 * 730
    assert not [one for one in found if "on-demand" in one.price.per]


def test_with_kafka_as_the_source_there_is_no_stream_to_pay():
    settings = conf.load("prod", {"source": {"kind": "kafka"}})
    found = cost.lines(GROCER, settings, JOBS, cost.load("af-south-1"), 1)
    assert not [one for one in found if one.service == "Kinesis"]


def test_writes_of_a_month_are_those_of_its_transactions_not_of_its_busiest_second():
    found = sizes.size(GROCER, sizes.load())
    model = sizes.load()
    writes = line(of(), "DynamoDB", "loyalty-balances: writes").quantity * 1_000_000
    expected = Decimal(found.monthly["transactions"]) * Decimal(model["record"]["with_customer"])
    assert abs(writes - expected) < 10


def test_an_unknown_region_names_those_that_are_known():
    with pytest.raises(Problem, match="af-south-1"):
        cost.load("mars-1")
    assert golden.CONF.region in cost.regions()
