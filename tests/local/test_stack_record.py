"""stack.json damaged or lost, and a home that is no usual one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tillstream import conf
from tillstream.cli import main
from tillstream.local import ports, services, stack
from tillstream.local.layout import StackError
from tillstream.local.stack import Stack

DAMAGED = [
    b"",
    b"{",
    b"null",
    b'"x"',
    b"[]",
    b"\xff\xfe",
    b'{"kafka": {}}',
    b'{"kafka": "x", "ports": 3}',
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))
    monkeypatch.delenv("TILLSTREAM_ENV", raising=False)
    (tmp_path / "stack").mkdir()
    return tmp_path


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_is_one_line_with_the_way_out(home: Path, content: bytes):
    Stack(home).layout.file.write_bytes(content)
    assert Stack(home).layout.read() == {}
    with pytest.raises(conf.ConfError, match="damaged: `tillstream down`, then `tillstream up`"):
        conf.load()


@pytest.mark.parametrize(
    "command", [["status"], ["job", "submit", "loyalty"], ["job", "list"]], ids=" ".join
)
def test_without_a_stack_a_broken_setting_is_told_first(home: Path, monkeypatch, command):
    monkeypatch.setenv("TILLSTREAM_CONF", '{"loyalty": {"notify": 5}}')
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert done.output.startswith("error: loyalty.notify: expected bool, got int")
    monkeypatch.delenv("TILLSTREAM_CONF")
    said = CliRunner().invoke(main, command).output
    assert (
        "there is no stack: run `tillstream up`; for another environment set TILLSTREAM_ENV" in said
    )


def test_a_broken_setting_of_a_submission_is_told_without_a_stack_too(home: Path):
    done = CliRunner().invoke(main, ["job", "submit", "loyalty", "--conf", "loyalty.notify=5"])
    assert done.output.startswith("error: loyalty.notify: expected bool, got int")


def test_no_second_stack_starts_beside_one_whose_record_is_lost(home: Path, monkeypatch):
    monkeypatch.setattr("tillstream.local.processes.all_of", lambda root: {4711: "jobmanager"})
    with pytest.raises(StackError, match="`tillstream down` ends them"):
        Stack(home).up()


@pytest.fixture
def older(home: Path, monkeypatch) -> Stack:
    """A stack of 0.1.0, which had no ZooKeeper."""
    at = {name: {"endpoint": "http://127.0.0.1:1"} for name in ("kinesis", "dynamodb", "s3")}
    at |= {"kafka": {"bootstrap": "127.0.0.1:1"}, "flink": {"rest": "http://127.0.0.1:1"}}
    known = {name: 1 for name in ports.DEFAULTS if name != "zookeeper"}
    made = Stack(home)
    made.layout.write(
        at | {"ports": known, "taskmanagers": 1, "region": "af-south-1", "state_backend": "hashmap"}
        | {"processes": {"jobmanager": {"pid": 4711, "port": 1, "log": ""}}}
    )  # fmt: skip
    monkeypatch.setattr("tillstream.local.stack.jar_set", lambda: None)
    monkeypatch.setattr("tillstream.local.stack.ensure_jars", lambda progress: None)
    return made


def test_the_status_of_an_older_releases_stack_is_shown(older: Stack):
    found = {process.name: process for process in older.status()}
    assert (found["zookeeper"].address, found["zookeeper"].healthy) == ("", False)
    assert found["kafka"].address == "127.0.0.1:1"


def test_a_cluster_of_an_older_release_is_not_added_to(older: Stack, monkeypatch):
    monkeypatch.setattr(older, "_runs", lambda pid, name: True)
    before = older.layout.file.read_bytes()
    with pytest.raises(StackError, match=r"older release.*`tillstream down`, then `tillstream up`"):
        older._plan(None, None)
    assert older.layout.file.read_bytes() == before


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch):
    file = tmp_path / "a-file"
    file.write_text("")
    monkeypatch.setenv("TILLSTREAM_HOME", str(file / "home"))
    monkeypatch.setenv("TILLSTREAM_ENV", "local")
    done = CliRunner().invoke(main, ["up"])
    assert done.exit_code == 1
    assert "(Not a directory): set TILLSTREAM_HOME to a folder that can be written" in done.output
    assert len(done.output.splitlines()) == 1


def test_javas_properties_hold_every_letter(tmp_path: Path):
    file = tmp_path / "server.properties"
    services._write_properties(file, {"log.dirs": "/hö m/Ж/😀"})
    (line,) = file.read_bytes().decode("ascii").splitlines()
    assert json.loads(f'"{line}"') == "log.dirs=/hö m/Ж/😀"


@pytest.mark.parametrize("below", ["a file/home", "a file"])
def test_a_home_that_cannot_be_written_is_told_as_one_and_not_as_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path / below))
    monkeypatch.setattr(stack, "ensure_jars", lambda progress: None)
    monkeypatch.setattr(stack, "free_mib", lambda folder: 0)
    done = CliRunner().invoke(main, ["up"])
    assert done.exit_code == 1
    assert "set TILLSTREAM_HOME to a folder that can be written" in done.output
    assert "disk" not in done.output
