"""The stand-in for DynamoDB is dynoxide, built once per user, or moto's, which says so."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tillstream.local import table_server

CARGO = """#!/bin/sh
echo "$@" >> {folder}/asked
while [ "$1" != --root ]; do shift; done
mkdir -p "$2/bin" && touch "$2/bin/dynoxide"
"""
NEXT = (
    "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records "
    "WHERE table_name = 'stock'"
)


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose cache is empty, and who has no cargo."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(table_server.CHOSEN, raising=False)
    (tmp_path / "bin").mkdir()
    return tmp_path


def with_cargo(user: Path, script: str = CARGO) -> None:
    cargo = user / "bin" / "cargo"
    cargo.write_text("#!/bin/sh\nPATH=/usr/bin:/bin\n" + script.format(folder=user))
    cargo.chmod(0o755)


def test_it_is_built_once_for_all_clones_of_a_user(user: Path):
    with_cargo(user)
    said: list[str] = []
    table_server.ensure(said.append)
    table_server.ensure(said.append)
    (asked,) = (user / "asked").read_text().splitlines()
    assert f"--version {table_server.VERSION} --locked" in asked
    assert len(said) == 1
    assert said[0].startswith("building dynoxide")
    command = table_server.command(8000, user / "data")
    assert command[0] == str(user / "cache" / "tillstream" / "dynoxide-rs-3.2.0/bin/dynoxide")
    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_without_cargo_it_is_moto_s_and_says_what_that_means(user: Path):
    said: list[str] = []
    table_server.ensure(said.append)
    (line,) = said
    assert "no cargo" in line
    assert "gone after `tillstream down`" in line
    assert table_server.command(8000, user)[1:3] == ["-m", "moto.server"]


def test_what_cannot_be_built_is_moto_s_with_the_log_that_says_why(user: Path):
    with_cargo(user, "echo no network; exit 101\n")
    said: list[str] = []
    table_server.ensure(said.append)
    assert f"could not be built: {table_server.folder().with_suffix('.log')}" in said[-1]
    assert "no network" in table_server.folder().with_suffix(".log").read_text()
    assert table_server.program() is None


def test_moto_can_be_chosen(user: Path, monkeypatch: pytest.MonkeyPatch):
    with_cargo(user)
    monkeypatch.setenv(table_server.CHOSEN, "moto")
    said: list[str] = []
    table_server.ensure(said.append)
    assert "TILLSTREAM_DYNAMODB says so" in said[0]
    assert not (user / "asked").exists()


def test_the_number_of_the_next_change_is_found_without_reading_all_of_them(user: Path):
    data = user / "data"
    data.mkdir()
    with sqlite3.connect(table_server.tables(data)) as file:
        file.execute("CREATE TABLE _stream_records (table_name TEXT, sequence_number TEXT)")
    table_server.index_changes(data)
    table_server.index_changes(data)
    with sqlite3.connect(table_server.tables(data)) as file:
        (plan,) = file.execute(f"EXPLAIN QUERY PLAN {NEXT}").fetchall()
    assert "SEARCH" in plan[3]
    assert "tillstream_next_change (table_name=?" in plan[3]


def test_before_there_are_tables_nothing_is_made(user: Path):
    table_server.index_changes(user)
    assert not table_server.tables(user).exists()
