"""From which state a job goes on when a release is undone, so that nothing is lost or counted twice."""

from __future__ import annotations

import pytest

from tillstream.deploy import doing
from tillstream.deploy.apply import Deployer, NotHealthy
from tillstream.deploy.figures import Figures
from tillstream.deploy.office import Office
from tillstream.deploy.service import Clock, Service
from tillstream.errors import Problem
from tillstream.infra.metrics import CHECKPOINT_AGE

JOBS = ["loyalty", "sales"]  # sales adds up


def snapshots(amazon, job: str) -> list[str]:
    return list(amazon.app(job).snapshots)


def update(amazon, job: str, **over) -> None:
    amazon.package(job)
    amazon.apply(job)
    amazon.package(job, release="0.3.0", **over)


def sick_after_some_checkpoints(amazon, monkeypatch) -> None:
    """Nobody says how often the new release has restarted: all else of it is well."""
    real = amazon.engine._value

    def value(run, metric, at_ms):
        restarts = metric in ("fullRestarts", "numRestarts")
        new = run.launch.manifest["release"] == "0.3.0"
        return None if restarts and new else real(run, metric, at_ms)

    monkeypatch.setattr(amazon.engine, "_value", value)


@pytest.mark.parametrize("job", JOBS)
def test_a_release_that_has_written_goes_on_in_the_old_one_from_its_own_last_state(
    amazon, monkeypatch, job
):
    update(amazon, job)
    sick_after_some_checkpoints(amazon, monkeypatch)
    with pytest.raises(NotHealthy, match="rolled back and runs as before"):
        amazon.apply(job)
    own = snapshots(amazon, job)[2]
    assert amazon.newest.manifest["release"] == "0.2.0"
    assert amazon.newest.snapshot == own
    assert not any("makes again" in line for line in amazon.said)


def test_what_the_old_release_cannot_read_is_made_again_and_the_way_out_is_said(
    amazon, monkeypatch
):
    update(amazon, "archive", state_versions={"loyalty_account": 3})
    sick_after_some_checkpoints(amazon, monkeypatch)
    with pytest.raises(NotHealthy, match="rolled back and runs as before"):
        amazon.apply("archive")
    left = snapshots(amazon, "archive")[1]
    assert amazon.newest.snapshot == left
    (said,) = [line for line in amazon.said if "makes again" in line]
    assert "tillstream history settle archive --since '20" in said


def test_of_a_job_that_sums_it_is_not_made_again_without_a_word(amazon, monkeypatch):
    update(amazon, "sales", state_versions={"loyalty_account": 3})
    sick_after_some_checkpoints(amazon, monkeypatch)
    with pytest.raises(NotHealthy, match=r"restore sales --from service-.* --counted-again"):
        amazon.apply("sales")
    left = snapshots(amazon, "sales")[1]
    assert amazon.status("sales") == "READY"
    with pytest.raises(Problem, match="nothing undoes"):
        doing.restored(amazon.office(), "sales", left)
    doing.restored(amazon.office(), "sales", left, counted_again=True)
    assert (amazon.newest.snapshot, amazon.newest.manifest["release"]) == (left, "0.2.0")


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("fault", ["fails", "loops"])
def test_a_release_that_has_written_nothing_goes_back_to_the_state_of_before(amazon, job, fault):
    update(amazon, job)
    amazon.engine.fault = lambda launch: fault if launch.manifest["release"] == "0.3.0" else ""
    with pytest.raises(NotHealthy, match="rolled back and runs as before"):
        amazon.apply(job)
    assert amazon.newest.snapshot == snapshots(amazon, job)[1]


def test_a_state_that_makes_the_old_release_sick_too_is_left_for_the_one_of_before(
    amazon, monkeypatch
):
    update(amazon, "loyalty")
    sick_after_some_checkpoints(amazon, monkeypatch)
    amazon.engine.fault = lambda launch: (
        "loops" if launch.snapshot in snapshots(amazon, "loyalty")[2:] else ""
    )
    with pytest.raises(NotHealthy, match="rolled back and runs as before"):
        amazon.apply("loyalty")
    assert amazon.newest.snapshot == snapshots(amazon, "loyalty")[1]


def test_by_hand_the_state_of_before_is_taken_only_where_that_is_asked_for(amazon):
    update(amazon, "archive")
    amazon.apply("archive")
    left = amazon.office().journal("archive").read().left
    doing.rolled_back(amazon.office(), "archive", state_of_before=True)
    assert (amazon.newest.snapshot, amazon.newest.manifest["release"]) == (left, "0.2.0")
    assert any("history settle archive" in line for line in amazon.said)


def test_by_hand_a_job_that_sums_goes_on_from_its_last_state(amazon):
    update(amazon, "sales")
    amazon.apply("sales")
    with pytest.raises(Problem, match="--counted-again"):
        doing.rolled_back(amazon.office(), "sales", state_of_before=True)
    assert amazon.newest.manifest["release"] == "0.3.0"
    doing.rolled_back(amazon.office(), "sales")
    assert amazon.newest.snapshot == snapshots(amazon, "sales")[-1]
    assert amazon.newest.manifest["release"] == "0.2.0"


def test_a_job_that_sums_and_was_stopped_by_force_starts_again_only_on_a_word(amazon):
    amazon.package("sales")
    amazon.apply("sales")
    office = amazon.office()
    office.service.take("prod.sales", "mine")
    office.service.stop("prod.sales", force=True)
    amazon.clock.sleep(30)
    amazon.package("sales", release="0.3.0")
    with pytest.raises(Problem, match="adds that up again"):
        amazon.apply("sales")
    amazon.apply("sales", counted_again=True)
    assert amazon.newest.snapshot == "mine"


def test_an_old_state_of_the_front_door_is_warned_of(amazon):
    amazon.package("intake")
    amazon.apply("intake")
    office = amazon.office()
    office.service.stop("prod.intake")
    office.service.wait("prod.intake", frozenset({"READY"}), 600)
    doing.restored(amazon.office(), "intake", None)  # of 2025, by the clock of this test
    assert any("counts twice there" in line for line in amazon.said)


# -- a rollback in the middle of a deployment ------------------------------------------------------------


def test_a_rollback_before_the_stop_leaves_the_job_as_it_runs(amazon, monkeypatch):
    update(amazon, "loyalty")

    def pressed(self, entry):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Deployer, "stop", pressed)
        with pytest.raises(KeyboardInterrupt):
            amazon.apply()
    calls = amazon.calls_since(lambda: doing.rolled_back(amazon.office(), "loyalty"))
    assert calls == []
    assert (amazon.status(), amazon.newest.manifest["release"]) == ("RUNNING", "0.2.0")
    assert amazon.office().journal("loyalty").read().outcome == "given up"


@pytest.mark.parametrize("job", JOBS)
def test_a_rollback_in_the_middle_of_the_stop_goes_on_from_the_stops_own_snapshot(
    amazon, monkeypatch, job
):
    update(amazon, job)
    real = Service.stop

    def pressed(self, name, force=False):
        real(self, name, force)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Service, "stop", pressed)
        with pytest.raises(KeyboardInterrupt):
            amazon.apply(job)
    with pytest.raises(NotHealthy, match=r"rolled back by hand.*runs as before"):
        doing.rolled_back(amazon.office(), job)
    assert (amazon.status(job), amazon.newest.manifest["release"]) == ("RUNNING", "0.2.0")
    assert amazon.newest.snapshot == snapshots(amazon, job)[1]


# -- clocks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off_s", [-280, 280])  # as far as Amazon's signatures allow
def test_a_deployer_whose_clock_is_wrong_takes_the_same_snapshot(amazon, off_s):
    update(amazon, "loyalty")
    clock = Clock(lambda: amazon.clock.now_ms() + off_s * 1000, amazon.clock.sleep)
    doing.applied(Office(amazon.conf, amazon.said.append, clock), "loyalty", amazon.asked())
    assert amazon.newest.snapshot == snapshots(amazon, "loyalty")[1]
    assert amazon.newest.manifest["release"] == "0.3.0"


def test_the_checkpoints_of_before_the_start_are_not_the_new_releases(amazon):
    update(amazon, "loyalty")
    amazon.clock.sleep(600)  # the old one has completed some
    amazon.engine.fault = lambda launch: (
        "no checkpoints" if launch.manifest["release"] == "0.3.0" else ""
    )
    late = Clock(lambda: amazon.clock.now_ms() - 280_000, amazon.clock.sleep)
    with pytest.raises(NotHealthy, match="rolled back"):
        doing.applied(Office(amazon.conf, amazon.said.append, late), "loyalty", amazon.asked())


def test_a_slow_start_is_no_sick_one(amazon):
    update(amazon, "loyalty")
    amazon.engine.START_MS = 25 * 60_000  # healthy_minutes are 10
    amazon.apply()
    assert (amazon.status(), amazon.newest.manifest["release"]) == ("RUNNING", "0.3.0")
    assert amazon.office().journal("loyalty").read().outcome == "healthy"


def test_one_checkpoint_is_counted_once_where_nobody_says_how_old_it_is():
    told = {"lastCheckpointDuration": [(60_000 * n, 850.0) for n in range(4)],
            "lastCheckpointSize": [(60_000 * n, 9.0) for n in range(4)]}  # fmt: skip
    assert Figures(told).completed_checkpoints == 1
    ages = [(60_000 * n, 30.0) for n in range(4)]
    assert Figures(told | {CHECKPOINT_AGE: ages}).completed_checkpoints == 4
    told["lastCheckpointDuration"][2] = (120_000, 851.0)
    assert Figures(told).completed_checkpoints == 3
