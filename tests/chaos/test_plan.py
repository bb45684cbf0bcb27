"""A seed's plan: the same for the same seed, of all kinds over many, and never one that cannot be judged."""

from __future__ import annotations

from collections import Counter

import pytest
from click.testing import CliRunner

from tillstream.chaos.plan import JUDGED, KINDS, LAST_S, STAND_INS, Plan, Where, draw
from tillstream.cli import main
from tillstream.sim.simulator import tag

OWN, HERE = Where(), Where(taskmanagers=3, own=False)


def plans(where: Where = OWN, seconds: int = 300) -> list[Plan]:
    return [draw(seed, seconds, where) for seed in range(200)]


def test_a_seed_means_the_same_each_time_and_another_one_something_else():
    assert draw(7, 120, OWN) == draw(7, 120, OWN)
    assert draw(7, 120, OWN) != draw(8, 120, OWN)


@pytest.mark.parametrize("where", [OWN, HERE])
def test_every_kind_of_fault_is_drawn_that_can_happen_there(where: Where):
    seen = {fault.kind for plan in plans(where) for fault in plan.faults}
    kinds = {*KINDS, "release"}
    assert seen == kinds - ({"clock", "disk", "rescale", "release"} if where is HERE else set())


@pytest.mark.parametrize("where", [OWN, HERE, Where(2, own=False)])
def test_the_jobs_fit_into_the_slots_and_one_of_them_has_an_independent_check(where: Where):
    for plan in plans(where):
        assert len(plan.jobs) <= where.taskmanagers
        assert set(plan.jobs) & set(JUDGED)
        wide: Counter[str] = Counter(dict.fromkeys(plan.jobs, 1))
        for fault in plan.faults:
            if fault.kind == "rescale":
                wide[fault.target] = fault.amount
            assert wide.total() <= where.taskmanagers


def test_faults_are_over_before_the_traffic_ends():
    for plan in plans():
        assert sum(phase.seconds for phase in plan.phases) == plan.seconds
        assert plan.faults == tuple(sorted(plan.faults, key=lambda fault: fault.at_s))
        assert all(f.at_s <= plan.seconds - LAST_S for f in plan.faults)
        assert all(f.at_s + f.seconds <= plan.seconds for f in plan.faults)


def test_transactions_of_two_phases_never_share_an_id():
    for seed in (277, *range(300)):
        tags = [tag(phase.seed) for phase in draw(seed, 300, OWN).phases]
        assert len(set(tags)) == len(tags), f"seed {seed}"


def test_what_a_stand_in_keeps_in_memory_alone_is_never_killed():
    killed = {fault.target for plan in plans() for fault in plan.faults if fault.kind == "kill"}
    assert "kinesis" not in killed
    assert killed > {*STAND_INS, "jobmanager", "taskmanager-1"}


def test_on_a_stack_that_runs_already_only_what_jobs_are_told_of_goes_through_a_proxy():
    for plan in plans(HERE):
        cut = {
            f.target
            for f in plan.faults
            if f.kind in ("cut", "stall", "slow", "errors", "throttle")
        }
        assert cut <= {"dynamodb", "kinesis"}


def test_records_may_come_out_of_order_only_where_shards_are_split_or_merged():
    for plan in plans():
        moved = [fault for fault in plan.faults if fault.kind in ("split", "merge")]
        assert plan.keeps_order == (not moved)
        assert not moved or plan.source == "kinesis"


def test_a_dry_run_shows_the_plan_and_touches_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    asked = ["chaos", "--seed", "7", "--minutes", "2", "--dry-run"]
    said = CliRunner().invoke(main, asked, env={"COLUMNS": "80"})
    assert said.exit_code == 0
    assert said.output.splitlines() == list(draw(7, 120, OWN).lines())
    assert list(tmp_path.iterdir()) == []


def test_without_a_stack_there_is_nothing_to_break_here(tmp_path, monkeypatch):
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    said = CliRunner().invoke(main, ["chaos", "--here"])
    assert said.exit_code == 1
    assert "there is no stack: run `tillstream up`" in said.output
