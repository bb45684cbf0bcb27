"""Rule sets in files: every problem with its line; what changes from one to another."""

from __future__ import annotations

import json

import pytest

from tillstream.fraud.rule_sets import differences
from tillstream.fraud.rules_file import (
    RulesFileError,
    packaged_rules,
    parse_rules,
    read_rules,
    starting_rules,
)

GOOD = """\
schema: 1
version: v1
review_at: 50
hold_at: 80
rules:
  - code: large
    signal: amount.ratio
    threshold: 3
    weight: 90
  - code: odd
    signal: hour.z
    threshold: 3
    weight: 10
    when: subject.sales >= 5
"""


def problems(text: str) -> list[str]:
    with pytest.raises(RulesFileError) as caught:
        parse_rules(text, "r.yaml")
    return caught.value.problems


def test_a_good_file_is_read_in_yaml_and_in_json():
    found = parse_rules(GOOD, "r.yaml")
    assert found.rules.version == "v1"
    assert parse_rules(found.raw.decode(), "r.json").raw == found.raw


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("threshold: 3\n    weight: 90", "threshold: three\n    weight: 90", 8, "Expected `float`"),
        ("hour.z", "hour.zz", 11, "hour.zz"),
        ("subject.sales >= 5", "subject.sales >=", 14, "not an expression"),
        ("subject.sales >= 5", "__import__('os')", 14, "not allowed"),
        ("code: odd", "code: large", 10, "twice"),
        ("hold_at: 80", "hold_at: 20", 4, "review_at"),
        ("weight: 90", "weight: 90\n    wieght: 1", 6, "unknown field `wieght`"),
        ("version: v1", "version: v1\nversion: v2", 3, "'version' is there twice"),
        ("rules:", "rules", 6, ""),
        ("version: v1", "version: &v v1\nnote: *v", 2, "anchors and aliases"),
        ("threshold: 3\n    weight: 90", "threshold: *three\n    weight: 90", 8, "anchors"),
        ("version: v1", "version: 2026-13-01", 2, "no timestamp: month must be in 1..12"),
        ("hold_at: 80", f"hold_at: {'9' * 5000}", 4, "no int"),
        ("hold_at: 80", f"hold_at: {'9' * 50}", 4, "no int: more than 64 bits"),
        ("hold_at: 80", "hold_at: !!binary YWJj", 4, "tags such as tag:yaml.org,2002:binary"),
        ("hold_at: 80", "hold_at: .nan", 4, "Expected `float`"),
        ("hold_at: 80", "hold_at: 0130", 4, "no int: write it without a leading 0"),
        ("hold_at: 80", "hold_at: 1:30", 4, "no int: write it without a leading 0 or colons"),
        ("hold_at: 80", "80: 80", 4, "a key must be a text"),
        ("hold_at: 80", "[hold_at]: 80", 4, "a key must be a text"),
    ],
)
def test_a_problem_is_told_with_its_line(old, new, line, what):
    (first, *_) = problems(GOOD.replace(old, new))
    assert what in first
    assert first.startswith("r.yaml:")
    told = int(first.split(":")[1])
    assert abs(told - line) <= 1, first


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "7", "a: &a [*a]", "{", "\t", "x" * 9])
def test_a_file_that_holds_no_rules_is_refused(text):
    assert problems(text)


def test_a_few_lines_that_stand_for_gigabytes_are_refused_at_once():
    laughs = "a0: &a0 [ha]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    assert problems(laughs) == [
        "r.yaml:1: anchors and aliases (&name, *name) are not taken: write the value out"
    ]


def test_half_a_character_is_one_line():
    assert problems('{"schema": 1, "note": "\\ud800"}') == ["r.yaml: a text that is not Unicode"]


@pytest.mark.parametrize(
    "wrong",
    [
        "memory_sales: 0", "usual_spread: 0", "prior_sales: 0", "prior_sales: -1", "fraud_weight: 0",
        "high_ratio: 0", "usual_cents: {ZAR: -5}", "heat_half_life_days: 0",
    ],
)  # fmt: skip
def test_what_would_divide_by_nothing_is_refused_before_it_is_pushed(wrong):
    (first,) = problems(GOOD + f"profile: {{{wrong}}}\n")
    assert f"$.profile.{wrong.partition(':')[0]}" in first


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(RulesFileError, match="No such file"):
        read_rules(tmp_path / "none.yaml")


def test_a_job_starts_with_the_packaged_rules_or_those_of_a_file(tmp_path):
    assert starting_rules(None) == packaged_rules().raw
    file = tmp_path / "r.yaml"
    file.write_text(GOOD)
    assert json.loads(starting_rules(str(file)))["version"] == "v1"


def test_differences_are_lines():
    before = parse_rules(GOOD, "a").raw
    changed = GOOD.replace("version: v1", "version: v2").replace("weight: 90", "weight: 60")
    changed = changed.replace("code: odd", "code: strange")
    lines = differences(before, parse_rules(changed, "b").raw)
    assert "~ version: v1 -> v2" in lines
    assert "~ large.weight: 90.0 -> 60.0" in lines
    assert "- odd" in lines
    assert any(line.startswith("+ strange: signal hour.z") for line in lines)
    assert differences(before, before) == []
