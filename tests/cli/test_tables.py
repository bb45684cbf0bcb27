"""A table on a terminal of 80 columns, on a wide one, and in a pipe: nothing in it is ever cut."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.text import Text

from tillstream.cli import tables
from tillstream.cli.tables import Column, Table

ID = "54fc6979afd5a93938ce3c8883f922b5"
PLACE = "file:///home/somebody/tillstream/data/savepoints/promotions/savepoint-54fc69-21235e4949a6"
WHY = "Read timeout on the endpoint while the notice was being published, so it may have been sent"


def jobs(*columns: Column | str) -> Table:
    table = Table("name", "state", "since", Column("restarts", right=True), *columns)
    return table


def lines(table: Table, width: int) -> list[str]:
    return [line.plain for line in table.lines(width)]


def test_what_fits_is_one_line_a_row_under_its_header():
    table = jobs(Column("id", below=True))
    table.add("promotions", "RESTARTING", "2026-11-28 18:58:48Z", "12", ID)
    assert lines(table, 100) == [
        "name        state       since                 restarts  id",
        f"promotions  RESTARTING  2026-11-28 18:58:48Z        12  {ID}",
    ]


def test_an_id_goes_below_its_row_where_the_terminal_is_narrow():
    table = jobs(Column("id", below=True))
    table.add("promotions", "RESTARTING", "2026-11-28 18:58:48Z", "12", ID)
    table.add("loyalty", "RUNNING", "2026-11-28 18:58:48Z", "0", "")
    assert lines(table, 80) == [
        "name        state       since                 restarts",
        "promotions  RESTARTING  2026-11-28 18:58:48Z        12",
        f"  id {ID}",
        "loyalty     RUNNING     2026-11-28 18:58:48Z         0",
    ]


def test_prose_wraps_in_its_column_before_anything_moves():
    table = Table("status", Column("why", prose=True), Column("notice", below=True))
    table.add("uncertain", WHY, "points_redeemed:store:45")
    shown = lines(table, 80)
    assert all(len(line) <= 80 for line in shown)
    assert "points_redeemed:store:45" in shown[1]
    assert shown[1].startswith("uncertain  Read timeout")
    words = " ".join(shown).replace("points_redeemed:store:45", "").split()
    assert set(WHY.split()) <= set(words)


def test_what_matters_least_is_left_out_first():
    table = Table("customer", Column("transaction", least=True), Column("balance", right=True))
    table.add("C0000000001", "0045-03-20261124-000123", "1,250")
    assert "0045-03-20261124-000123" in "\n".join(lines(table, 80))
    assert lines(table, 30) == ["customer     balance", "C0000000001    1,250"]


def test_a_record_becomes_a_block_where_even_its_row_is_too_wide():
    table = Table(*(f"a column named {n}" for n in range(6)))
    table.add(*(f"value-{n}" for n in range(6)))
    table.add(*(f"other-{n}" for n in range(6)))
    shown = lines(table, 80)
    assert shown[0] == "a column named 0  value-0"
    assert len(shown) == 6 + 1 + 6


@pytest.mark.parametrize("width", [40, 80, 132])
def test_a_word_longer_than_the_terminal_stays_whole_to_be_copied(width):
    table = jobs(Column("where", below=True), Column("reason", prose=True))
    table.add("promotions", "RESTARTING", "2026-11-28 18:58:48Z", "12", PLACE, WHY)
    shown = lines(table, width)
    assert any(PLACE in line for line in shown)
    words = {word for line in shown for word in line.split()}
    assert {"promotions", "RESTARTING", "12", *WHY.split()} <= words
    assert all(len(line) <= width or max(map(len, line.split())) > width - 14 for line in shown)


def test_a_pipe_gets_one_line_a_row_however_long(capsys):
    table = jobs(Column("where", below=True), Column("reason", prose=True))
    table.add("promotions", "RESTARTING", "2026-11-28", "12", PLACE, f"{WHY}\n{WHY}\n{WHY}")
    tables.show(table)
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "state", "since", "restarts", "where", "reason"]
    assert row.endswith(f"{PLACE}  {WHY} {WHY} {WHY}")


def test_a_style_is_for_terminals_and_takes_no_room():
    table = Table("healthy")
    table.add(Text("yes", "green"))
    console = Console(width=80, force_terminal=True, color_system="standard")
    with console.capture() as shown:
        tables.show(table, console)
    assert "\x1b[32myes" in shown.get()
    assert lines(table, 80) == ["healthy", "yes"]


def test_a_table_without_rows_is_its_header():
    assert lines(jobs(), 80) == ["name  state  since  restarts"]


def test_a_sentence_wraps_at_spaces_on_a_terminal_only(capsys):
    text = f"promotions can be restored from {PLACE}"
    console = Console(width=80)
    with console.capture() as shown:
        tables.say(text, console)
    assert shown.get().splitlines() == ["promotions can be restored from", PLACE]
    tables.say(text)
    assert capsys.readouterr().out == f"{text}\n"
