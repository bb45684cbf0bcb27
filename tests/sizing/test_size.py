"""What a shop takes follows from the model, and the model says where each of its figures comes from."""

from __future__ import annotations

import copy
import json
from inspect import signature

import pytest
from click.testing import CliRunner

from benchmarks import scaling
from tillstream.cli import main
from tillstream.connectors import batched
from tillstream.sizing import model as size
from tillstream.state_schemas.keyed.states import STATES

MODEL = size.load()
GROCER = size.Shop(15_000, 40_000_000, 2_900)


def test_more_transactions_take_more_shards_and_workers():
    quiet, busy = (size.size(GROCER._replace(tx_per_second=n), MODEL) for n in (100, 15_000))
    assert quiet.shards == 1
    assert busy.shards == 19
    assert busy.kpus > quiet.kpus
    assert all(after.workers >= before.workers
               for before, after in zip(quiet.jobs, busy.jobs, strict=True))  # fmt: skip


def test_large_records_need_shards_by_bytes():
    model = copy.deepcopy(MODEL)
    model["record"]["bytes"] = 4_000
    assert size.size(GROCER, model).shards == 75  # 60 MB a second at 0.8 MB each


def test_no_worker_is_busier_than_assumed_and_one_fewer_would_be():
    most = MODEL["assumed"]["use_of_a_worker"]["value"]
    for job in size.size(GROCER, MODEL).jobs:
        assert job.cores <= most * job.workers
        if job.workers > 1:
            fewer = job.workers - 1
            us = size.cpu_us(MODEL["jobs"][job.job], fewer, GROCER.customers, 19, 2_900)
            on_disk = job.state * MODEL["assumed"]["state_on_disk"]["value"]
            assert (
                GROCER.tx_per_second * us / 1e6 > most * fewer or on_disk > fewer * size.KPU_STORAGE
            )
        assert job.kpus == job.workers + 1


def test_state_that_fits_no_worker_s_disk_takes_more_workers():
    huge = size.Shop(10, 4_000_000_000, 2_900)
    (loyalty,) = [job for job in size.size(huge, MODEL).jobs if job.job == "loyalty"]
    assert loyalty.workers * size.KPU_STORAGE >= loyalty.state
    assert loyalty.workers > 10


def test_records_cross_between_workers_ever_more_but_never_more_than_all():
    job = {"cpu_us": {"base": 30.0, "crossing": 8.0, "tenfold": 2.0, "shards": 0.1}}
    assert size.cpu_us(job, 1, 100_000, 4, 100) == 30
    assert size.cpu_us(job, 2, 100_000, 4, 100) == 34
    assert size.cpu_us(job, 1_000, 1_000_000, 14, 100) == pytest.approx(40.992)


def test_a_customer_of_few_visits_is_smaller_than_one_of_many():
    rare = size.state_sizes(GROCER._replace(tx_per_day=1_000_000), MODEL)
    often = size.state_sizes(GROCER._replace(tx_per_day=50_000_000), MODEL)
    assert often["loyalty-account"] > 2 * rare["loyalty-account"]
    bound = MODEL["state"]["loyalty-account"]
    endless = size.state_sizes(GROCER._replace(tx_per_day=1e12), MODEL)["loyalty-account"]
    assert endless < GROCER.customers * (
        bound["base"] + (bound["most"] + 1) * bound["per_remembered"]
    )


def test_a_transaction_is_known_to_intake_for_two_days_and_to_the_archive_for_one():
    kept = size.state_sizes(GROCER, MODEL)
    frame = MODEL["assumed"]["frame_of_a_key"]["value"]
    for name, hours in (("intake-mark", 48), ("archived", 26)):
        keys = kept[name] / (MODEL["state"][name]["base"] + frame)
        assert keys == pytest.approx(GROCER.daily * hours / 24)


def test_what_intake_writes_is_what_comes_in_with_the_fields_of_the_one_form():
    found = size.size(GROCER, MODEL)
    assert found.checked == 15_000 * MODEL["record"]["checked_bytes"]
    assert found.monthly["to the topic transactions"] > found.monthly["bytes in"]


def test_a_job_whose_python_alone_was_measured_takes_at_least_that():
    done = CliRunner().invoke(
        main, ["size", "--tx-per-second", "100", "--customers", "1000", "--stores", "3"]
    )
    bounds = [job for job in MODEL["jobs"].values() if job.get("at_least")]
    assert ("at least" in done.output) == bool(bounds)
    assert all("lower bound" in job["basis"] for job in bounds)


def test_a_shop_of_nobody_is_refused():
    with pytest.raises(ValueError, match="more than 0"):
        size.size(GROCER._replace(customers=0), MODEL)


def test_every_state_of_a_sized_job_is_in_the_model():
    listed = {(s.job, s.name) for s in STATES if s.job in MODEL["jobs"]} - {
        ("shortage", "shortage-area"),  # some 2,000 keys
        ("fraud", "fraud-cashier"),  # 100,000 of some 600 bytes, beside 40 million profiles
        ("fraud", "fraud-store"),  # 2,900 keys
        ("loyalty", "household-members"),  # a tenth of the customers, some 160 bytes
        ("loyalty", "household-adjusted"),  # 800,000 of some 60 bytes
        ("loyalty", "receipt-words"),  # of held sales alone
        ("loyalty", "receipt-held"),
        ("inventory", "store-day"),  # 2,900 keys
        ("inventory", "stock-transfer"),  # of some days
        ("inventory", "document-rest"),  # of some minutes
        ("inventory", "document"),  # half a million of ten bytes, beside 87 million levels
    }
    assert listed == {(n, s) for n, job in MODEL["jobs"].items() for s in job["states"]}
    assert {s for _, s in listed} == set(MODEL["state"])


def test_every_figure_of_cpu_says_what_it_rests_on():
    for name, job in MODEL["jobs"].items():
        assert job["basis"], name
        assert set(job["cpu_us"]) <= set(size.features(1, 1, 1, 1))


def test_the_command_prints_what_it_assumes():
    arguments = ["--tx-per-second", "15000", "--customers", "40000000", "--stores", "2900"]
    done = CliRunner().invoke(main, ["size", *arguments])
    assert done.exit_code == 0, done.output
    assert "Kinesis: 19 shards, read by intake alone" in done.output
    for assumption in MODEL["assumed"].values():
        assert assumption["says"].format(**assumption) in done.output
    plain = json.loads(CliRunner().invoke(main, ["size", *arguments, "--json"]).output)
    assert plain["kpus"] == sum(job["kpus"] for job in plain["jobs"])


def rows_of(
    coefficients: dict[str, float], held_out_us: float, points: tuple = scaling.FITTED
) -> list[dict]:
    rows = [
        point._asdict() | seen(size.cpu_us({"cpu_us": coefficients}, *point), 1 + n / 4)
        for n, point in enumerate(points)
    ]
    return [*rows, scaling.HELD_OUT._asdict() | seen(held_out_us, 0.5)]


def seen(us: float, slower: float) -> dict[str, float]:
    """A measurement of ``us`` while the machine is so much slower than the yardstick has it."""
    return {
        "us": us * slower**scaling.YARDSTICK_POWER,
        "yardstick_us": scaling.YARDSTICK_US * slower,
    }


def test_a_law_that_holds_is_found_again_and_the_held_out_point_has_no_say():
    law = {"base": 30.0, "crossing": 8.0, "tenfold": 2.0, "shards": 0.1}
    rows = rows_of(law, held_out_us=70.0)
    found = scaling.fit(rows, ("stores",))
    assert found == pytest.approx(law)
    off = [row["off"] for row in scaling.check(rows, found)]
    assert max(map(abs, off[:-1])) < 1e-3
    assert off[-1] == pytest.approx(size.cpu_us({"cpu_us": law}, *scaling.HELD_OUT) / 70 - 1)
    assert scaling.HELD_OUT not in scaling.FITTED


@pytest.mark.parametrize("term", ["crossing", "tenfold", "shards"])
def test_a_term_below_nothing_is_left_out_and_the_others_are_fitted_without_it(term):
    law = {"base": 30.0, "crossing": 8.0, "tenfold": 2.0, "shards": 0.1}
    found = scaling.fit(rows_of(law | {term: -1.0}, held_out_us=40.0), ("stores",))
    assert term not in found
    assert all(value >= 0 for value in found.values())
    assert found == scaling.fit(rows_of(law | {term: -1.0}, held_out_us=40.0), ("stores", term))


def test_a_point_measured_twice_is_checked_by_its_mean():
    law = {"base": 30.0}
    found = scaling.check([*rows_of(law, 20.0), *rows_of(law, 60.0)], law)
    assert len(found) == len(scaling.FITTED) + 1
    assert found[-1]["us"] == pytest.approx(40.0)
    assert found[-1]["off"] == pytest.approx(-0.25)


def test_a_term_that_a_job_cannot_have_is_not_fitted():
    law = {"base": 30.0, "crossing": 8.0, "shards": 0.1}
    rows = rows_of(law, held_out_us=40.0)
    assert scaling.fit(rows, scaling.WITHOUT["inventory"]) == pytest.approx(law)


def test_a_batch_of_the_model_is_a_batch_of_the_jobs():
    assert signature(batched.process).parameters["batch_size"].default == size.BATCH


def test_a_worker_of_many_stores_reads_and_writes_one_s_state_for_nearly_every_record():
    seen = [size.features(1, 1, 4, stores)["stores"] for stores in (1, 30, 300, 2_900)]
    assert seen[0] == 1 / size.BATCH
    assert seen == sorted(seen)
    assert 0.97 < seen[-1] < 1
    assert size.features(10, 1, 4, 3_000)["stores"] == seen[2]
    law = {"base": 40.0, "crossing": 8.0, "shards": 0.1, "stores": 60.0}
    rows = rows_of(law, 40.0, scaling.FITTED_BY_STORE)
    assert scaling.fit(rows, scaling.WITHOUT["shortage"]) == pytest.approx(law, abs=0.01)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A model of its own."""
    made = tmp_path / "model.json"
    made.write_text(json.dumps(MODEL))
    monkeypatch.setattr(size, "MODEL", made)
    monkeypatch.setattr(size, "load", lambda path=made: json.loads(made.read_text()))
    return made


def test_a_fit_goes_into_the_model_with_its_date_and_its_error(file):
    law = {"base": 50.0, "crossing": 0.0, "tenfold": 0.0, "shards": 0.0}
    rows = rows_of(law, held_out_us=40.0)
    figures = {"date": "2026-01-02", "fit": law, "check": scaling.check(rows, law)}
    scaling.into_model("fraud", figures, "results.json")
    job = json.loads(file.read_text())["jobs"]["fraud"]
    assert job["cpu_us"] == law
    assert "2026-01-02" in job["basis"]
    assert "+25% at the one held out" in job["basis"]
    assert job["states"] == MODEL["jobs"]["fraud"]["states"]


def test_what_python_alone_takes_is_in_the_model_until_the_job_is_measured(file, monkeypatch):
    monkeypatch.setattr(scaling, "ROUNDS", 2)
    assert scaling.python_into_model("intake")["us"]
    alone = json.loads(file.read_text())["jobs"]["intake"]
    assert alone["at_least"]
    assert alone["cpu_us"]["base"] > 0
    law = {"base": 90.0}
    figures = {"date": "2026-01-02", "fit": law, "check": scaling.check(rows_of(law, 40.0), law)}
    scaling.into_model("intake", figures, "results.json")
    job = json.loads(file.read_text())["jobs"]["intake"]
    assert job["cpu_us"] == law
    assert "at_least" not in job
    assert job["states"] == ["intake-mark", "intake-voids"]
