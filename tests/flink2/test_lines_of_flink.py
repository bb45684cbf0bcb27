"""What is said of the lines of Flink in several places is the same."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.support import ROOT
from tillstream import flink_line, jars
from tillstream.errors import Problem
from tillstream.package import wheels

LATER = [line for line in flink_line.LINES.values() if line is not flink_line.FIRST]


def test_a_version_of_pyflink_says_its_line_and_others_are_refused_with_what_to_install():
    assert flink_line.of_version("2.2.1").runtime == "FLINK-2_2"
    assert flink_line.of_version("1.20.5") is flink_line.FIRST
    with pytest.raises(Problem, match=r"PyFlink 2\.1\.3 .* runs on 1\.20, 2\.2, 2\.3: install"):
        flink_line.of_version("2.1.3")


def test_the_set_up_installs_the_version_and_python_of_each_line():
    script = (ROOT / "bin" / "setup").read_text()
    said = re.findall(r'--flink ([\d.]+)"\) venv=\S+ flink=(\S+) version=(\S+)', script)
    assert said == [(line.name, line.flink, line.python) for line in flink_line.LINES.values()]


@pytest.mark.parametrize("argument", ["--flink 3.0", "--flink", "--help"])
def test_the_set_up_says_what_it_takes(argument):
    done = subprocess.run(
        [ROOT / "bin" / "setup", *argument.split()], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "usage: bin/setup [--flink 1.20|2.2|2.3]" in done.stderr


def exact(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().split()
    return {
        wheels.normal(package): version
        for package, _, version in (x.partition("==") for x in lines)
    }


def test_what_is_packed_has_the_same_version_on_each_line():
    first, later = exact("constraints.txt"), exact("constraints-2.txt")
    assert {name: later.get(name) for name in wheels.NEEDED} == {
        name: first[name] for name in wheels.NEEDED
    }
    assert first["apache-flink"] == flink_line.FIRST.flink
    assert "apache-flink" not in later  # of several lines


@pytest.mark.parametrize("line", LATER, ids=lambda line: line.name)
def test_the_jars_of_another_line_are_built_of_its_versions_beside_those_of_the_first(
    line, monkeypatch, tmp_path
):
    monkeypatch.setattr(flink_line, "installed", lambda: flink_line.FIRST)
    first = jars.JarSet(tmp_path), {part: jars._digest(part) for part in jars.PARTS}
    monkeypatch.setattr(flink_line, "installed", lambda: line)
    there = jars.JarSet(tmp_path)
    assert there.job == tmp_path / f"flink-{line.name}" / first[0].job.name
    assert there.plugins == tmp_path / f"flink-{line.name}" / "plugins"
    assert there.kafka == first[0].kafka
    digests = {part: jars._digest(part) for part in jars.PARTS}
    assert {part for part in jars.PARTS if digests[part] != first[1][part]} == set(jars.OF_FLINK)
    assert jars._profiles("job") == ["job", f"flink-{line.name}"]
    assert jars._profiles("kafka") == ["kafka"]
    pom = jars.POM.read_text()
    versions = pom[pom.index(f"<id>flink-{line.name}</id>") :]
    assert f"<flink.version>{line.name}." in versions.partition("</profile>")[0]
