"""stack.json damaged or lost, and a home that is no usual one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tillstream import conf
from tillstream.cli import main
from tillstream.local import services
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
    assert "there is no stack: run `tillstream up`" in CliRunner().invoke(main, command).output


def test_a_broken_setting_of_a_submission_is_told_without_a_stack_too(home: Path):
    done = CliRunner().invoke(main, ["job", "submit", "loyalty", "--conf", "loyalty.notify=5"])
    assert done.output.startswith("error: loyalty.notify: expected bool, got int")


def test_no_second_stack_starts_beside_one_whose_record_is_lost(home: Path, monkeypatch):
    monkeypatch.setattr("tillstream.local.processes.all_of", lambda root: {4711: "jobmanager"})
    with pytest.raises(StackError, match="`tillstream down` ends them"):
        Stack(home).up()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch):
    file = tmp_path / "a-file"
    file.write_text("")
    monkeypatch.setenv("TILLSTREAM_HOME", str(file / "home"))
    monkeypatch.setenv("TILLSTREAM_ENV", "local")
    done = CliRunner().invoke(main, ["up"])
    assert done.exit_code == 1
    assert "Not a directory: choose a place that can be written" in done.output
    assert len(done.output.splitlines()) == 1


def test_javas_properties_hold_every_letter(tmp_path: Path):
    file = tmp_path / "server.properties"
    services._write_properties(file, {"log.dirs": "/hö m/Ж/😀"})
    (line,) = file.read_bytes().decode("ascii").splitlines()
    assert json.loads(f'"{line}"') == "log.dirs=/hö m/Ж/😀"
