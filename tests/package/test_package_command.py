"""tillstream package: what it prints, and what it says where it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tillstream.cli import main
from tillstream.package import archive, commands
from tillstream.package.build import Packer


@pytest.fixture
def run(own: Path, jar: Path, installed: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Any:
    """`tillstream package` with these arguments; no job is built, which takes a JVM."""

    def packer(packed, say):
        return Packer(packed, jar, installed, lambda *_: {"a-uid": "an operator"}, say)

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["package", *arguments], env={"COLUMNS": "80"})

    monkeypatch.setattr(commands, "packer", packer)
    return command


def test_it_tells_each_zip_with_its_size_and_checksum(run, tmp_path):
    done = run("sales", "loyalty", "--out", str(tmp_path), "--conf", "job.parallelism=4")
    assert done.exit_code == 0, done.output
    for job in ("loyalty", "sales"):
        file = tmp_path / f"{job}.zip"
        assert file.exists()
        assert archive.sha256(file) in done.output
    assert "MiB" in done.output
    assert "largest parts: dep/" in done.output
    said = json.loads((tmp_path / "sales.properties.json").read_text())
    assert said["PropertyGroups"][1]["PropertyMap"]["job.parallelism"] == "4"
    assert "loyalty: building the job" in done.output  # on long work one sees where it is


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a job, or --all"),
        (("breakfast",), "there is no job breakfast: there are archive"),
        (("sales", "--env", "staging"), "no environment 'staging'"),
        (("sales", "--conf", "kafka.bootstrap=null"), "kafka.bootstrap is not set"),
        (("sales", "--conf", "nothing"), "--conf needs KEY=VALUE"),
    ],
)
def test_what_cannot_be_packed_ends_in_a_line_that_says_why(run, tmp_path, arguments, said):
    done = run(*arguments, "--out", str(tmp_path / "out"))
    assert done.exit_code != 0
    assert said in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()
