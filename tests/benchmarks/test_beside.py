"""What is shown of one measurement by several environments."""

from __future__ import annotations

import argparse

import pytest

from benchmarks import beside


def round_of(**rates: float) -> dict:
    return {
        name: {"rows": {"loyalty": {"rate": {"median": rate}, "per_cpu_second": {"median": 10.0}}}}
        for name, rate in rates.items()
    }


def test_a_row_has_the_median_of_all_rounds():
    found = beside.summary([round_of(a=100, b=50), round_of(a=300, b=70), round_of(a=200, b=60)])
    assert found["loyalty"]["a"]["rate"] == 200
    assert found["loyalty"]["b"]["rate"] == 60


def test_a_row_that_failed_once_is_left_out():
    failed = round_of(a=100, b=50)
    failed["b"]["rows"]["loyalty"] = {"samples": [], "error": "it did not run"}
    assert beside.summary([round_of(a=100, b=50), failed]) == {}


def test_the_ratio_is_to_the_first_environment(capsys):
    beside.show(beside.summary([round_of(first=100, second=50)]))
    assert "x 0.50" in capsys.readouterr().out


def test_an_environment_that_is_not_there_is_refused():
    with pytest.raises(argparse.ArgumentTypeError, match="PYTHON is there"):
        beside.environment("2.2=.venv-9.9/bin/python")
