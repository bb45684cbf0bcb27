"""Simulated households: who joins one before the tills' records."""

from __future__ import annotations

from collections import Counter

from click.testing import CliRunner

from tillstream.check.households import Households
from tillstream.check.sent import read_truth
from tillstream.cli import main
from tillstream.domain.loyalty.households import parse_household
from tillstream.sim.households import WithHouseholds
from tillstream.sim.senders import HOUSEHOLDS
from tillstream.sim.simulator import Simulator

T0 = 1_764_000_000_000


def made(share: float) -> list[tuple[str, bytes]]:
    tills = Simulator(seed=7, count=20, customers=100, start_ms=T0)
    return [(one.stream, one.raw) for one in WithHouseholds(tills, tills, share)]


def test_a_share_of_the_customers_joins_two_by_two_before_the_first_sale():
    records = made(0.1)
    assert [stream for stream, _ in records] == [HOUSEHOLDS] * 10 + ["tills"] * 20
    events = [parse_household(raw) for _, raw in records[:10]]
    assert len({event.customer_id for event in events}) == 10
    assert set(Counter(event.household_id for event in events).values()) == {2}
    assert all(event.event_time_ms < T0 - 20 * 3_600_000 for event in events)
    assert records == made(0.1)


def test_without_a_share_nothing_is_changed():
    plain = Simulator(seed=7, count=20, customers=100, start_ms=T0)
    assert made(0) == [(one.stream, one.raw) for one in plain]


def test_the_truth_of_a_run_has_them_for_the_check(tmp_path):
    asked = ["sim", "--to", "file", "--count", "5", "--customers", "50", "--households", "0.2"]
    assert CliRunner().invoke(main, [*asked, "--truth", str(tmp_path)]).exit_code == 0
    truth = read_truth(tmp_path)
    assert len(Households(truth.joined).of) == 10
    assert (tmp_path / "households.jsonl").read_bytes().count(b"\n") == 10
