"""--help: quick, ordered by theme, and true of every command that a room brings."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from tests.support import ROOT
from tests.support.imports import imported
from tillstream.cli import THEMES, main, offered

ROOMS = [room for rooms in THEMES.values() for room in rooms]
COMMANDS = [name for room in ROOMS for name in offered(room)]
HEAVY = {
    "boto3",
    "botocore",
    "confluent_kafka",
    "msgspec",
    "pyarrow",
    "pyflink",
    "requests",
    "rich",
}


def all_commands(group: click.Group, path: str) -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        found[f"{path} {name}"] = command
        if isinstance(command, click.Group):
            found |= all_commands(command, f"{path} {name}")
    return found


EVERY = all_commands(main, "tillstream")


def test_help_imports_nothing_heavy():
    program = (
        "from click.testing import CliRunner; from tillstream.cli import main; "
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0"
    )
    assert not HEAVY & imported(program)


def test_help_has_every_command_under_its_theme_once():
    text = CliRunner().invoke(main, ["--help"]).output
    places = [text.index(f"\n{theme}:\n") for theme in THEMES]
    assert places == sorted(places)
    listed = [line.split()[0] for line in text[places[0] :].splitlines() if line.startswith("  ")]
    assert listed == COMMANDS
    assert len(set(COMMANDS)) == len(COMMANDS)


def test_a_room_with_commands_is_listed():
    rooms = {path.parent.name for path in (ROOT / "tillstream").glob("*/*commands.py")}
    assert rooms == set(ROOMS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_found_under_its_name(name):
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name


@pytest.mark.parametrize("path", EVERY)
def test_every_command_says_what_it_does_in_80_columns(path):
    command = EVERY[path]
    assert command.help
    text = CliRunner().invoke(main, [*path.split()[1:], "--help"], terminal_width=80).output
    assert all(len(line) <= 80 for line in text.splitlines()), text


def test_an_unknown_command_is_refused():
    assert CliRunner().invoke(main, ["nosuch"]).exit_code == 2


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "tillstream.cli", "--help"], capture_output=True, text=True
    )
    assert "The local stack:" in done.stdout
