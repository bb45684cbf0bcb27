"""What jobs declare is true, complete and on its page."""

from __future__ import annotations

import importlib

import pytest

from tests.support import ROOT
from tillstream import catalog
from tillstream.catalog import page, tables, topics
from tillstream.catalog.entry import Undeclared
from tillstream.catalog.resources import Topic
from tillstream.conf import load
from tillstream.domain.stock.actions import manager_told
from tillstream.domain.stock.ledger import Stock

JOBS = catalog.jobs()
# Written by commands, by others, or by 0.1.0 (its archive): no job lists them.
OF_NO_JOB = {"sent_notices", "stream_positions", "archive"}


@pytest.mark.parametrize("topic", topics.ALL, ids=lambda topic: topic.id)
def test_every_topic_names_a_contract_that_is_there(topic):
    folder, _, name = topic.contract.partition("/")
    if name:
        found = ROOT / "state_schemas" / folder / name
        assert found.is_dir() or found.with_suffix(".py").exists()
    else:
        module, _, struct = topic.contract.rpartition(".")
        fields = getattr(importlib.import_module(f"tillstream.{module}"), struct).__struct_fields__
        assert fields


def test_no_two_share_a_name():
    for resources in (topics.ALL, tables.HOT, tables.HISTORIES):
        for names in ([one.id for one in resources], [one.default for one in resources]):
            assert len(set(names)) == len(names)


def test_every_topic_table_and_history_is_some_job_s():
    listed = {one.id for job in JOBS for one in (*job.reads, *job.writes)}
    for one in (*topics.ALL, *tables.HOT, *tables.HISTORIES):
        assert one.id in listed | OF_NO_JOB, f"no job lists {type(one).__name__} {one.id}"


def test_every_job_keeps_its_dead_letters_but_the_one_without_python():
    for job in JOBS:
        kept = {one.id for one in job.writes if one in (topics.DEAD_LETTERS, tables.DEAD_LETTERS)}
        assert bool(kept) == (job.name != "sales"), job.name


def test_a_topic_of_several_jobs_is_never_written_in_a_transaction():
    """An open one of one job would hold back the records of the others."""
    writers: dict[str, list[str]] = {}
    for job in JOBS:
        for one in job.writes:
            if isinstance(one, Topic):
                writers.setdefault(one.id, []).append(one.guarantee)
    shared = {name: found for name, found in writers.items() if len(found) > 1}
    assert {name: set(found) for name, found in shared.items()} == {
        "dead_letters": {"prompt"},
        "notices": {"prompt"},
    }


def test_notices_of_one_recipient_are_in_one_partition():
    assert {topic.key for topic in topics.TO_NOTIFY} == {"recipient"}
    told = manager_told(45, "6001234567890", Stock(), "45-6001234567890-000001", 0)
    assert told.key == told.body.recipient  # a route brings its own key


def test_a_table_has_the_columns_of_its_keys():
    for table in tables.HOT:
        written = {attribute for _, attribute, _ in table.fields}
        keys = {name for name, _ in (*table.key, *(table.index.key if table.index else ()))}
        if written:
            assert keys | {table.by, "version"} | ({table.ttl} if table.ttl else set()) <= written
        for version, attributes in table.versions.items():
            assert table.merge
            assert set(attributes) <= written - keys - {table.by}
            assert version not in written


def test_a_history_has_the_columns_that_name_its_folders_and_rows():
    for history in tables.HISTORIES:
        columns = history.row_type.replace("`", "").replace("<", "< ")
        for name in (history.date, *history.identity, *filter(None, (history.region,))):
            assert f" {name} " in columns, f"{history.id} has no column {name}"


def test_the_page_shows_everything():
    """Not letter by letter: the words may be another release's."""
    text = page.PAGE.read_text()
    missing = [f"| {job.name} |" for job in JOBS if f"| {job.name} |" not in text]
    for one in (*topics.ALL, *tables.HOT, *tables.HISTORIES):
        missing += [f"`{one.default}`"] * (f"| `{one.default}`" not in text)
    for state in (state for job in JOBS for state in job.states):
        version = f"{state.codec.name} v{state.codec.current}" if state.codec else "none"
        row = f"| {state.job} | `{state.uid}` | `{state.name}` | {version} | {state.key} | "
        missing += [row] * (row not in text)
        missing += [state.life] * (state.life not in text)
    assert not missing, f"python -m tillstream.catalog.page: docs/catalogue.md lacks {missing}"


def test_names_of_a_job_are_its_own_and_the_deployment_s():
    one, other = load("local", {"deployment": "blue"}), load("local", {"deployment": "green"})
    names = {conf.own_name(job.name, "dead-letters") for conf in (one, other) for job in JOBS}
    assert len(names) == 2 * len(JOBS)
    assert "blue.loyalty.dead-letters" in names


def test_what_an_entry_does_not_list_is_not_used():
    loyalty = catalog.job("loyalty")
    with pytest.raises(
        Undeclared, match=r"jobs/loyalty\.py: its entry lacks the topic holds in writes"
    ):
        loyalty.written(topics.HOLDS)
    with pytest.raises(Undeclared, match="lacks the topic promotions in reads"):
        loyalty.read_of(topics.PROMOTIONS)
    with pytest.raises(Undeclared, match="lacks the state stock of the job loyalty"):
        loyalty.state("stock")


def test_an_unknown_job_is_an_error_that_lists_the_known_ones():
    with pytest.raises(
        catalog.UnknownJob, match="there is no job loyaltie: there are archive, fraud"
    ):
        catalog.job("loyaltie")
