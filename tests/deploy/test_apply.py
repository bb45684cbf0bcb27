"""From nothing to running, updates, what goes wrong after them, and who takes a deployment up again."""

from __future__ import annotations

import pytest

from tests.amsf.engine import Launch
from tillstream.deploy import doing
from tillstream.deploy.apply import NotHealthy
from tillstream.deploy.journal import Journal
from tillstream.errors import Problem


class Crash(BaseException):
    """What a process that is killed leaves: nothing is cleaned up by an `except Exception`."""


def test_from_nothing_to_running(amazon):
    calls = amazon.calls_since(amazon.apply)
    assert calls == ["CreateApplication", "StartApplication"]
    assert amazon.status() == "RUNNING"
    assert (amazon.newest.parallelism, amazon.newest.snapshot) == (16, None)
    now = amazon.office().service.describe("prod.loyalty")
    assert (now.snapshots, now.rollback, now.autoscaling) == (True, False, False)
    assert now.networks == {"1.1": (("subnet-1", "subnet-2"), ("sg-1",))}
    assert amazon.office().journal("loyalty").read().outcome == "healthy"


def test_the_same_package_again_changes_nothing(amazon):
    amazon.apply()
    assert amazon.calls_since(amazon.apply) == []
    assert "loyalty: nothing to change" in amazon.said


def test_a_compatible_update_goes_on_from_the_snapshot_of_its_stop(amazon):
    amazon.apply()
    amazon.package(state_versions={"loyalty_account": 3}, operators={
        "transactions": "transactions", "points": "points ledger", "new": "a new one"})  # fmt: skip
    calls = amazon.calls_since(amazon.apply)
    assert calls == ["CreateApplicationSnapshot", "StopApplication", "UpdateApplication",
                     "StartApplication"]  # fmt: skip
    assert amazon.newest.manifest["state_versions"] == {"loyalty_account": 3}
    taken, left = amazon.app().snapshots
    assert taken.startswith("tillstream-")
    assert amazon.newest.snapshot == left
    assert not amazon.newest.allow_non_restored
    assert amazon.status() == "RUNNING"


def test_what_runs_keeps_the_parallelism_it_was_scaled_to(amazon):
    amazon.apply()
    doing.scaled(amazon.office(), "loyalty", 24, None)
    assert amazon.newest.parallelism == 24
    amazon.package(release="0.2.1")
    amazon.apply()
    assert amazon.newest.parallelism == 24
    assert any("the settings say 16" in line for line in amazon.said)


def test_scaling_by_a_factor_rounds_up_and_stays_within_max_parallelism(amazon):
    amazon.apply()
    doing.scaled(amazon.office(), "loyalty", None, 1.1)
    assert amazon.newest.parallelism == 18
    with pytest.raises(Problem, match="parallelism 1800 is above max_parallelism 720"):
        doing.scaled(amazon.office(), "loyalty", None, 100)
    assert amazon.newest.parallelism == 18


def test_a_lost_uid_is_refused_and_nothing_is_touched(amazon):
    amazon.apply()
    amazon.package(operators={"transactions": "transactions"})

    def refused():
        with pytest.raises(
            Problem, match=r"points ledger \(uid points\) is gone.*--drop-state points"
        ):
            amazon.apply()

    assert amazon.calls_since(refused) == []
    amazon.apply(drop_state=frozenset({"points"}))
    assert amazon.newest.allow_non_restored
    amazon.package(operators={"transactions": "transactions"}, release="0.2.1")
    amazon.apply()
    assert not amazon.newest.allow_non_restored  # said once, for that update alone


def test_max_parallelism_never_changes(amazon):
    amazon.apply()
    amazon.package(max_parallelism=1440)
    with pytest.raises(Problem, match="back to 720"):
        amazon.apply()
    assert amazon.status() == "RUNNING"


@pytest.mark.parametrize("fault", ["fails", "loops", "no checkpoints"])
def test_an_update_that_is_not_well_is_rolled_back_to_the_snapshot_of_before_it(amazon, fault):
    amazon.apply()
    good = amazon.newest
    amazon.package(release="0.3.0")

    def of(launch: Launch) -> str:
        return fault if launch.manifest["release"] == "0.3.0" else ""

    amazon.engine.fault = of
    with pytest.raises(NotHealthy, match="rolled back and runs as before"):
        amazon.apply()
    assert amazon.newest.code == good.code
    assert amazon.newest.snapshot == list(amazon.app().snapshots)[1]  # the bad one left none
    assert not amazon.newest.allow_non_restored
    assert amazon.status() == "RUNNING"
    assert amazon.office().journal("loyalty").read().outcome == "rolled back"


def test_a_restart_loop_is_seen_long_before_the_time_is_over(amazon):
    amazon.apply()
    amazon.package(release="0.3.0")
    amazon.engine.fault = lambda launch: "loops" if launch.manifest["release"] == "0.3.0" else ""
    began = amazon.clock.now_ms()
    with pytest.raises(NotHealthy, match="restarts and no checkpoint"):
        amazon.apply()
    assert amazon.clock.now_ms() - began < 8 * 60_000


def test_a_job_that_takes_no_snapshot_is_not_stopped(amazon):
    amazon.apply()
    amazon.package(release="0.3.0")
    amazon.engine.snapshots_fail = True
    calls = []

    def failing():
        with pytest.raises(NotHealthy, match="nothing was changed"):
            amazon.apply()

    calls = amazon.calls_since(failing)
    assert calls == ["CreateApplicationSnapshot"]
    assert amazon.status() == "RUNNING"


def test_a_first_deployment_that_is_not_well_is_stopped_and_the_next_one_starts(amazon):
    amazon.engine.fault = lambda launch: "fails"
    with pytest.raises(NotHealthy, match="nothing to go back to, so it is stopped"):
        amazon.apply()
    assert amazon.status() == "READY"
    amazon.engine.fault = lambda launch: ""
    amazon.package(release="0.2.1")
    amazon.apply()
    assert amazon.status() == "RUNNING"


def test_an_update_is_undone_by_hand(amazon):
    amazon.apply()
    good = amazon.newest
    amazon.package(release="0.3.0")
    amazon.apply()
    doing.rolled_back(amazon.office(), "loyalty")
    assert (amazon.newest.code, amazon.newest.snapshot) == (
        good.code,
        list(amazon.app().snapshots)[-1],
    )
    with pytest.raises(Problem, match="rolled back already"):
        doing.rolled_back(amazon.office(), "loyalty")


def test_flink_two_is_one_way_and_the_way_back_is_the_snapshot_of_before(amazon):
    amazon.apply()
    amazon.package(line="2.2", flink="2.2.0", runtime="FLINK-2_2", python="3.12")
    with pytest.raises(Problem, match="--one-way"):
        amazon.apply()
    amazon.apply(one_way=True)
    assert amazon.newest.runtime == "FLINK-2_2"
    doing.rolled_back(amazon.office(), "loyalty")
    assert amazon.newest.runtime == "FLINK-1_20"
    assert amazon.status() == "RUNNING"


def test_settings_in_code_that_flink_two_does_not_take_end_in_a_rollback(amazon):
    amazon.apply()
    amazon.package(line="2.2", flink="2.2.0", runtime="FLINK-2_2", python="3.12")
    amazon.engine.settings_in_code = {"loyalty": ("python.fn-execution.bundle.size",)}
    with pytest.raises(NotHealthy, match="not allowed in code"):
        amazon.apply(one_way=True)
    assert (amazon.newest.runtime, amazon.status()) == ("FLINK-1_20", "RUNNING")


# -- a deployer that dies ------------------------------------------------------------------------------

FORWARD = ["upload", "take", "stop", "change", "launch", "look"]
BACK = ["halt", "change_back", "launch_back", "look_back"]


def _dies_after(monkeypatch, step: str) -> None:
    from tillstream.deploy.apply import Deployer

    real = getattr(Deployer, step)

    def once(self, entry):
        real(self, entry)
        monkeypatch.setattr(Deployer, step, real)
        monkeypatch.setattr(self.journal, "leave", lambda: None)  # nobody gives anything back
        raise Crash

    monkeypatch.setattr(Deployer, step, once)


@pytest.mark.parametrize("step", ["upload", "make", "launch", "look"])
def test_a_first_deployment_is_taken_up_again_after_a_crash_behind(amazon, monkeypatch, step):
    _dies_after(monkeypatch, step)
    with pytest.raises(Crash):
        amazon.apply()
    amazon.apply()
    assert amazon.status() == "RUNNING"
    assert len(amazon.engine.runs) == 1


@pytest.mark.parametrize("step", FORWARD)
def test_an_update_is_taken_up_again_after_a_crash_behind(amazon, monkeypatch, step):
    amazon.apply()
    amazon.package(release="0.3.0")
    _dies_after(monkeypatch, step)
    with pytest.raises(Crash):
        amazon.apply()
    amazon.apply()
    assert amazon.status() == "RUNNING"
    assert amazon.newest.manifest["release"] == "0.3.0"
    assert len(amazon.engine.runs) == 2
    assert len(amazon.app().snapshots) == 2
    assert amazon.newest.snapshot == list(amazon.app().snapshots)[1]


@pytest.mark.parametrize("step", [*FORWARD, *BACK])
def test_a_rollback_is_taken_up_again_after_a_crash_behind(amazon, monkeypatch, step):
    amazon.apply()
    good = amazon.newest
    amazon.package(release="0.3.0")
    amazon.engine.fault = lambda launch: "loops" if launch.manifest["release"] == "0.3.0" else ""
    _dies_after(monkeypatch, step)
    with pytest.raises(Crash):
        amazon.apply()
    if step == "look_back":  # it was through; another apply would try the bad package again
        assert amazon.office().journal("loyalty").read().outcome == "rolled back"
    else:
        with pytest.raises(NotHealthy, match="rolled back and runs as before"):
            amazon.apply()
    assert amazon.status() == "RUNNING"
    assert amazon.newest.code == good.code
    assert amazon.newest.snapshot == list(amazon.app().snapshots)[1]


CALLS = [
    "create_application_snapshot",
    "stop_application",
    "update_application",
    "start_application",
]


@pytest.mark.parametrize("call", CALLS)
def test_a_crash_right_behind_a_call_does_not_make_it_twice(amazon, clients, monkeypatch, call):
    """The journal says that the step is under way, the service that it is done."""
    amazon.apply()
    amazon.package(release="0.3.0")
    client = clients["kinesisanalyticsv2"]
    real = getattr(client, call)

    def dying(**request):
        real(**request)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(client, call, dying)
        patched.setattr(Journal, "leave", lambda self: None)
        with pytest.raises(Crash):
            amazon.apply()
    amazon.apply()
    changing = [c for c in amazon.flink.calls if not c.startswith(("Describe", "List"))]
    assert changing == ["CreateApplication", "StartApplication", "CreateApplicationSnapshot",
                        "StopApplication", "UpdateApplication", "StartApplication"]  # fmt: skip
    assert amazon.newest.manifest["release"] == "0.3.0"


def interrupted_once_it_starts(amazon) -> None:
    """Applies, with Ctrl-C while the second run comes up."""

    def pressed() -> None:
        if len(amazon.engine.runs) == 2:
            amazon.clock.waiting.clear()
            raise KeyboardInterrupt

    amazon.clock.waiting.append(pressed)
    with pytest.raises(KeyboardInterrupt):
        amazon.apply()


def test_ctrl_c_leaves_the_deployment_to_whoever_goes_on_at_once(amazon):
    amazon.apply()
    amazon.package(release="0.3.0")
    interrupted_once_it_starts(amazon)
    entry = amazon.office().journal("loyalty").read()
    assert (entry.open, entry.holder) == (True, "")
    amazon.apply()
    assert amazon.newest.manifest["release"] == "0.3.0"
    assert len(amazon.engine.runs) == 2


def test_ctrl_c_and_then_a_rollback(amazon):
    amazon.apply()
    good = amazon.newest
    amazon.package(release="0.3.0")
    interrupted_once_it_starts(amazon)
    with pytest.raises(NotHealthy, match="rolled back by hand"):
        doing.rolled_back(amazon.office(), "loyalty")
    assert (amazon.newest.code, amazon.status()) == (good.code, "RUNNING")


# -- two of them ---------------------------------------------------------------------------------------


def test_the_second_of_two_deployers_is_refused_while_the_first_is_at_it(amazon):
    amazon.apply()
    amazon.package(release="0.3.0")
    refused: list[str] = []
    inside: list[bool] = []

    def second() -> None:
        if len(amazon.engine.runs) == 2 and not refused and not inside:
            inside.append(True)
            other = amazon.office().journal("loyalty")
            other.read()
            first = deployer.journal

            def look(seconds: float) -> None:
                amazon.clock.at_ms += int(seconds * 1000)
                first.beat()  # the first one waits too, and says that it is there

            from tillstream.deploy.service import Clock as Time

            other._clock = Time(amazon.clock.now_ms, look)
            with pytest.raises(Problem, match="another deployer is at loyalty") as error:
                other.take(amazon.said.append)
            refused.append(error.value.message)

    office = amazon.office()
    deployer = office.deployer("loyalty")
    office.deployer = lambda job: deployer
    amazon.clock.waiting.append(second)
    doing.applied(office, "loyalty", amazon.asked())
    assert refused
    assert amazon.newest.manifest["release"] == "0.3.0"


def test_two_that_begin_at_the_same_moment_do_not_both_begin(amazon):
    first, second = amazon.office().deployer("loyalty"), amazon.office().deployer("loyalty")
    for one in (first, second):
        one.journal.read()
    made, wanted, _ = doing.planned(amazon.office(), "loyalty", amazon.asked())
    first.begin(made, wanted.config, None)
    with pytest.raises(Problem, match="another deployer is at loyalty"):
        second.begin(made, wanted.config, None)


def test_a_note_that_was_sent_twice_is_not_taken_for_somebody_elses(amazon, monkeypatch):
    """boto3 sends again what got no answer, and S3 refuses the second."""
    one = amazon.office().deployer("loyalty")
    one.journal.read()
    made, wanted, _ = doing.planned(amazon.office(), "loyalty", amazon.asked())
    storage = amazon.office().releases.storage
    real = type(storage).swap

    def twice(self, name, data, tag):
        real(self, name, data, tag)
        return real(self, name, data, tag)

    monkeypatch.setattr(type(storage), "swap", twice)
    entry = one.begin(made, wanted.config, None)
    one.journal.note(entry)
    assert amazon.office().journal("loyalty").read() == entry


def test_what_somebody_changed_by_hand_meanwhile_is_not_overwritten(amazon, monkeypatch):
    amazon.apply()
    amazon.package(release="0.3.0")
    _dies_after(monkeypatch, "stop")
    with pytest.raises(Crash):
        amazon.apply()
    service = amazon.office().service
    now = service.describe("prod.loyalty")
    service.update(
        now.name, now.version, {"ServiceExecutionRoleUpdate": "arn:aws:iam::1:role/mine"}
    )
    with pytest.raises(Problem, match="somebody has started or changed it"):
        amazon.apply()
    with pytest.raises(NotHealthy, match="rolled back by hand"):
        doing.rolled_back(amazon.office(), "loyalty")
    assert amazon.status() == "RUNNING"


def test_throttled_calls_are_tried_again(amazon):
    amazon.server.throttle = 2
    amazon.apply()
    assert amazon.status() == "RUNNING"
