"""What may change, what is refused, and the sentence that says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tillstream.deploy import plan as plans
from tillstream.deploy.plan import Config, Consents, Running, Wanted, make
from tillstream.deploy.release import Release
from tillstream.deploy.service import Application
from tillstream.package.manifest import PackageManifest

CONFIG = Config("FLINK-1_20", "code", "loyalty/a.zip", {"tillstream": {"environment": "prod"}}, 16, 1,
                60_000, 5_000, "arn:role", "arn:log")  # fmt: skip


def manifest(**over: Any) -> PackageManifest:
    made = PackageManifest(
        job="loyalty", environment="prod", deployment="prod", release="0.2.0", commit="", flink="1.20.5",
        line="1.20", runtime="FLINK-1_20", python="3.11", jar="", packages={}, wheels={}, parallelism=16,
        max_parallelism=720, operators={"transactions": "source", "points": "points ledger"},
        state_versions={"loyalty_account": 2},
    )  # fmt: skip
    return msgspec.structs.replace(made, **over)


def wanted(
    config: dict[str, Any] | None = None, settings: dict[str, str] | None = None, **over
) -> Wanted:
    release = Release("loyalty/a.zip", manifest(**over), settings or {"source.kind": "kinesis"})
    return Wanted("loyalty", release, msgspec.structs.replace(CONFIG, **(config or {})))


def running(status: str = "RUNNING", snapshots: bool = True, known: bool = True, **over) -> Running:
    now = Application(
        "prod.loyalty", status, 3, CONFIG.runtime, CONFIG.role, (CONFIG.bucket, CONFIG.key),
        CONFIG.properties, 16, 1, False, 60_000, 5_000, True, False, (CONFIG.log_stream,), {},
        datetime(2026, 11, 30, tzinfo=UTC),
    )  # fmt: skip
    release = Release("loyalty/a.zip", manifest(**over), {"source.kind": "kinesis"})
    return Running(now, release if known else None, snapshots)


def refused(made: plans.Plan, *, by: str) -> None:
    assert len(made.refusals) == 1, made.refusals
    assert by in made.refusals[0]


def test_what_is_not_there_is_created():
    made = make(wanted(), None)
    assert (made.action, made.restarts, made.refusals) == ("create", False, [])
    assert (made.kpus_before, made.kpus_after) == (0, 17)
    assert ("parallelism", "", "16") in made.changes


def test_what_runs_as_it_should_is_left_alone():
    assert make(wanted(), running()).action == "none"


def test_what_is_stopped_is_started():
    made = make(wanted(), running("READY"))
    assert (made.action, made.kpus_before, made.kpus_after) == ("start", 0, 17)


def test_a_changed_property_restarts_the_job_and_kafkas_secrets_are_not_shown():
    after = {"tillstream": {"environment": "prod", "kafka.properties.sasl.jaas.config": "secret"}}
    made = make(wanted({"properties": after}), running())
    assert (made.action, made.restarts) == ("update", True)
    assert made.changes == [("property kafka.properties.sasl.jaas.config", "", "(not shown)")]


def test_a_new_operator_and_a_newer_state_are_welcome():
    more = {"transactions": "source", "points": "points ledger", "new": "new one"}
    made = make(
        wanted({"key": "b.zip"}, operators=more, state_versions={"loyalty_account": 3}), running()
    )
    assert (made.refusals, made.dropped) == ([], [])


def test_an_operator_that_is_gone_is_refused_unless_it_is_named():
    fewer = wanted({"key": "b.zip"}, operators={"transactions": "source"})
    refused(make(fewer, running()), by="--drop-state points")
    made = make(fewer, running(), Consents(drop_state=frozenset({"points"})))
    assert (made.refusals, made.dropped) == ([], ["points"])


def test_a_name_too_many_in_drop_state_is_refused():
    made = make(wanted(), running(), Consents(drop_state=frozenset({"pionts"})))
    refused(made, by="--drop-state pionts: nothing of that name")


def test_a_keyed_state_that_is_gone_is_refused_unless_it_is_named():
    fewer = wanted({"key": "b.zip"}, state_versions={})
    refused(make(fewer, running()), by="--drop-state loyalty_account")
    assert not make(fewer, running(), Consents(frozenset({"loyalty_account"}))).refusals


def test_a_state_that_would_be_written_older_is_refused():
    made = make(wanted({"key": "b.zip"}, state_versions={"loyalty_account": 1}), running())
    refused(made, by="loyalty_account is written in version 2 by what runs, and version 1 is older")


def test_max_parallelism_never_changes():
    made = make(wanted({"key": "b.zip"}, max_parallelism=128), running())
    refused(made, by="set job.max_parallelism back to 720")


def test_parallelism_is_at_most_max_parallelism_and_many_kpus_are_a_note():
    refused(
        make(wanted({"parallelism": 721}), running()),
        by="parallelism 721 is above max_parallelism 720",
    )
    made = make(wanted({"parallelism": 65}), running())
    assert made.refusals == []
    assert "65 KPUs are more than the 64" in made.warnings[0]


@pytest.mark.parametrize(
    ("old", "new", "one_way", "says"),
    [
        ("1.20", "2.2", False, "--one-way"),
        ("1.20", "2.2", True, ""),
        ("2.2", "2.3", False, ""),
        ("2.2", "1.20", True, "a snapshot of 2.2 does not restore on 1.20"),
        ("2.3", "2.2", True, "a snapshot of 2.3 does not restore on 2.2"),
    ],
)
def test_lines_of_flink_go_forward_and_the_step_to_two_is_said(old, new, one_way, says):
    made = make(wanted({"key": "b.zip"}, line=new), running(line=old), Consents(one_way=one_way))
    if says:
        refused(made, by=says)
    else:
        assert made.refusals == []


def test_a_setting_that_says_what_state_means_is_accepted_by_name_alone():
    other = wanted({"key": "b.zip"}, {"source.kind": "kafka"})
    refused(make(other, running()), by="--accept source.kind if that is meant")
    assert not make(other, running(), Consents(accept=frozenset({"source.kind"}))).refusals


def test_a_property_goes_over_the_zips_own_setting():
    named = {"tillstream": {"environment": "prod", "fraud.currency": "EUR"}}
    refused(
        make(wanted({"properties": named}), running()),
        by="fraud.currency would change from null to EUR",
    )


def test_code_that_nobody_here_deployed_is_refused_unless_it_is_accepted():
    refused(make(wanted({"key": "b.zip"}), running(known=False)), by="--accept unknown-code")
    accepted = Consents(accept=frozenset({"unknown-code"}))
    assert not make(wanted({"key": "b.zip"}), running(known=False), accepted).refusals


def test_a_stopped_job_without_a_snapshot_has_nothing_to_lose():
    fewer = wanted({"key": "b.zip"}, operators={}, max_parallelism=64)
    assert not make(fewer, running("READY", snapshots=False)).refusals
