"""The commands as somebody types them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tillstream import catalog
from tillstream.cli import main
from tillstream.deploy.commands import upwards


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["deploy", *arguments], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_a_job_from_its_plan_to_its_end(amazon):
    assert "17, 1" in run("plan", "loyalty")
    assert "loyalty is healthy" in run("apply", "loyalty")
    assert run("status", "loyalty").count("RUNNING") == 1
    taken = run("snapshot", "loyalty")
    assert "savepoints/loyalty/tillstream-" in taken
    assert "18 KPUs" not in run("scale", "loyalty", "--factor", "2")
    assert amazon.newest.parallelism == 32
    assert "stopped; snapshot" in run("stop", "loyalty")
    assert "runs from snapshot" in run("restore", "loyalty")
    assert amazon.newest.parallelism == 32
    assert "parallelism 32" in run("logs", "loyalty", "--since", "1d")
    assert "nothing since" in run("logs", "loyalty", "--errors")


def test_a_plan_as_json_and_its_refusal_by_exit_code(amazon):
    run("apply", "loyalty")
    amazon.package(operators={}, max_parallelism=720)
    found = json.loads(run("plan", "loyalty", "--json", code=1))
    assert (found["action"], found["restarts"], found["dropped"]) == (
        "update",
        True,
        ["points", "transactions"],
    )
    assert len(found["refusals"]) == 2
    assert found["kpus"] == {"before": 17, "after": 17}
    assert "error: loyalty: operator points ledger" in run("apply", "loyalty", code=2)


def test_status_as_json(amazon):
    run("apply", "loyalty")
    found = json.loads(run("status", "loyalty", "--json"))
    assert (found["status"], found["flink"], found["restarts"]) == ("RUNNING", "1.20", 0)
    assert found["deployment"] == "healthy"


def test_a_failed_update_ends_with_what_happened_and_where_to_look(amazon):
    run("apply", "loyalty")
    amazon.package(release="0.3.0")
    amazon.engine.fault = lambda launch: "loops" if launch.manifest["release"] == "0.3.0" else ""
    said = run("apply", "loyalty", code=1)
    assert "It was rolled back and runs as before" in said
    assert "`tillstream deploy logs loyalty` has the cause" in said
    assert "rolled back" in run("status", "loyalty")


def test_ctrl_c_says_how_to_go_on(amazon):
    run("apply", "loyalty")
    amazon.package(release="0.3.0")

    def pressed() -> None:
        amazon.clock.waiting.clear()
        raise KeyboardInterrupt

    amazon.clock.waiting.append(pressed)
    assert "`tillstream deploy apply` goes on" in run("apply", "loyalty", code=1)
    assert "loyalty is healthy" in run("apply", "loyalty")
    assert "rolled back" not in run("rollback", "loyalty")
    assert amazon.newest.manifest["release"] == "0.2.0"


def test_all_begins_with_the_front_door_and_ends_with_it(amazon, monkeypatch):
    some = ["loyalty", "intake"]
    monkeypatch.setattr(catalog, "names", lambda: sorted(some))
    amazon.package("intake")
    assert upwards() == ["intake", "loyalty"]
    run("apply", "--all")
    assert [one.launch.application for one in amazon.engine.runs.values()] == [
        "prod.intake",
        "prod.loyalty",
    ]
    said = run("stop", "--all")
    assert said.index("loyalty stopped") < said.index("intake stopped")
    said = run("restore", "--all")
    assert said.index("intake runs") < said.index("loyalty runs")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("apply", "archive"), "`tillstream package archive` makes it"),
        (("scale", "loyalty", "--factor", "2"), "loyalty does not run"),
        (("restore", "loyalty"), "there is no application of loyalty"),
        (("rollback", "loyalty"), "has no update that could be undone"),
        (("stop", "loyalty"), "no job loyalty runs"),
    ],
)
def test_what_cannot_be_done_names_what_can(amazon, arguments, says):
    assert says in run(*arguments, code=1)
