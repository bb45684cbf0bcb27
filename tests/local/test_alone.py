"""A process of the stack in a container of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tillstream.local import alone, ports
from tillstream.local.layout import StackError
from tillstream.local.stack import Stack


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv(alone.TASKMANAGERS, "3")
    made = Stack(tmp_path)
    alone.prepare(made)
    return made


def test_what_is_prepared_has_the_usual_ports_and_the_engine_s_settings(stack: Stack):
    assert stack.layout.read()["ports"] == ports.DEFAULTS
    engine = yaml.safe_load((stack.layout.flink / "conf" / "config.yaml").read_text())
    assert engine["rest.port"] == ports.DEFAULTS["flink-rest"]
    assert engine["python.execution-mode"] == "thread"


def test_there_is_a_process_for_each_container_and_no_supervisor(stack: Stack):
    names = set(alone.processes(stack))
    assert {"kafka", "jobmanager", "taskmanager-1", "taskmanager-3"} <= names
    assert "supervisor" not in names


def test_a_process_takes_the_place_of_the_one_that_was_asked(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
):
    became = []
    monkeypatch.setattr("os.execvpe", lambda *how: became.append(how))
    monkeypatch.setattr("os.chdir", lambda folder: None)
    alone.become(stack, "taskmanager-2")
    ((program, command, environment),) = became
    assert program == command[0]
    assert "-Dtaskmanager.resource-id=taskmanager-2" in command
    assert environment["FLINK_CONF_DIR"] == str(stack.layout.flink / "conf")


def test_a_name_that_is_none_is_refused_with_those_there_are(stack: Stack):
    with pytest.raises(StackError, match=r"no process kafak: .*kafka"):
        alone.become(stack, "kafak")


def test_nobody_starts_ends_or_looks_for_processes_beside_the_containers(stack: Stack):
    for act in (stack.up, stack.down, stack.status):
        with pytest.raises(StackError, match="docker compose"):
            act()


@pytest.mark.parametrize("count", ["0", "two", ""])
def test_a_number_of_taskmanagers_that_is_none_is_refused(
    count: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(alone.TASKMANAGERS, count)
    with pytest.raises(StackError, match=alone.TASKMANAGERS):
        alone.prepare(Stack(tmp_path))


def test_resources_wait_until_all_serve_and_say_who_does_not(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(alone, "SERVE_WITHIN_S", 0.0)
    monkeypatch.setattr(alone, "serves", lambda stack, service: service.name != "kafka")
    with pytest.raises(StackError, match="kafka do not serve"):
        alone.resources(stack)
