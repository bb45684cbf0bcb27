"""CONTRIBUTING's recipe for a job, followed in a scratch copy: it is whole, and no file can be forgotten."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import ROOT
from tillstream import jars

COPIED = (
    *("tillstream", "jobs", "udfs", "state_schemas", "conf", "java", "docs", "setup.py"),
    *("pyproject.toml", "tests/__init__.py", "tests/conftest.py", "tests/test_architecture.py"),
    *("tests/catalog/test_catalogue.py", "tests/jobs", "tests/support", "tests/state_schemas"),
)
BLOCK = re.compile(r"```python\n# ([\w./]+)(?:, above `([^`]+)`)?\n(.*?)```", re.S)
COMMANDS = re.compile(r"Record its uids.*?```sh\n(.*?)```", re.S)
RECORDED = ("tests/jobs/uids.json", "docs/catalogue.md")
# What a job's files are checked by, but for starting it.
CHECKS = ("tests/catalog", "tests/test_architecture.py", "tests/state_schemas/test_states.py")


class Step(NamedTuple):
    """A new file, or what goes above a line of one that is there."""

    path: str
    above: str
    text: str


def recipe() -> tuple[list[Step], list[str]]:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    part = text[text.index("## Add a job") : text.index("## Add a fraud signal")]
    commands = COMMANDS.search(part)
    assert commands
    return [Step(*found) for found in BLOCK.findall(part)], commands[1].splitlines()


def follow(copy: Path, steps: list[Step]) -> None:
    for step in steps:
        file = copy / step.path
        if not step.above:
            assert not file.exists(), f"{step.path} is there already"
            file.write_text(step.text)
            continue
        there = file.read_text()
        assert there.count(step.above) == 1, f"{step.path}: {step.above}"
        there = there.replace(step.above, f"{step.text}\n{step.above}")
        if step.path.endswith("tables.py"):  # the recipe says so in a sentence
            there = there.replace(
                "    fraud_decision,\n", "    fraud_decision,\n    large_return,\n"
            )
        file.write_text(there)


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "TILLSTREAM_JARS": str(jars.jar_set().folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        cwd=copy, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def checks(copy: Path, *what: str) -> str:
    """What pytest says, "" when everything passes."""
    done = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", *what)
    return done.stdout + done.stderr if done.returncode else ""


def copied(into: Path) -> Path:
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, into / name, symlinks=True, ignore=ignored)
        elif (ROOT / name).exists():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, into / name)
    return into


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with the recipe followed to its end."""
    jars.ensure_jars(print)
    copy = copied(tmp_path_factory.mktemp("recipe"))
    steps, commands = recipe()
    follow(copy, steps)
    for command in commands:
        program, *arguments = command.split()
        assert program == "python"
        done = run(copy, *arguments)
        assert done.returncode == 0, done.stderr
    return copy


def test_it_takes_eight_files_at_most():
    steps, _ = recipe()
    assert len({step.path for step in steps} | set(RECORDED)) <= 8


def test_the_job_has_all_that_a_job_has(whole):
    assert not checks(whole, *CHECKS, "tests/jobs", "-k", "not tests/jobs or returns")
    said = run(whole, "-c", ASKED)
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert found["topics"] == ["dead-letters", "returns"]
    assert found["tables"] == ["returns"]
    assert found["created"] == [True, True]
    assert found["preflight"] == ["no Kafka topic returns"]
    assert found["set_aside"] == [["returns", ["transaction_id"]]]
    assert "large-returns" in found["uids"]
    assert "| returns | `transactions` | `returns` (configured)" in found["page"]


ASKED = """
import json
from pathlib import Path
from tillstream import catalog
from tillstream.catalog import tables, topics
from tillstream.cluster import preflight
from tillstream.conf import load
job = catalog.job("returns")
conf = load("local", {"kafka": {"bootstrap": "h:1"}, "source": {"kind": "kinesis"}})
preflight._topics_at = lambda client: {"dead-letters", "notices"}
lacking = [line.partition(" at ")[0] for line in preflight._kafka(conf, job)]
print(json.dumps({
    "topics": sorted(conf.topic(one) for one in job.topics),
    "tables": [conf.table(one) for one in job.tables],
    "created": [topics.RETURNS in topics.ALL, tables.RETURNS in tables.HOT],
    "preflight": lacking,
    "set_aside": [[conf.prefix(one), one.identity] for one in job.set_aside],
    "uids": list(json.loads(Path("tests/jobs/uids.json").read_text())["returns"]),
    "page": Path("docs/catalogue.md").read_text(),
}))
"""

LEFT_OUT = {
    "tillstream/domain/returns.py": "No module named 'tillstream.domain.returns'",
    "state_schemas/tables/large_return.py": "large_return",
    "tillstream/catalog/topics.py": "'tillstream.catalog.topics' has no attribute 'RETURNS'",
    "tillstream/catalog/tables.py": "'tillstream.catalog.tables' has no attribute 'RETURNS'",
    "udfs/returns.py": "No module named 'tillstream.udfs.returns'",
    "jobs/returns.py": "no job lists Topic returns",
    "tests/jobs/uids.json": "uids of returns are not recorded",
    "docs/catalogue.md": "docs/catalogue.md lacks ['| returns |'",
}


def test_every_file_of_the_recipe_is_left_out_once():
    steps, _ = recipe()
    assert set(LEFT_OUT) == {step.path for step in steps} | set(RECORDED)


@pytest.mark.long
@pytest.mark.parametrize("path", LEFT_OUT)
def test_a_file_left_out_is_named(whole, tmp_path, path):
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy, symlinks=True)
    (copy / path).unlink()
    if (ROOT / path).exists():
        shutil.copy(ROOT / path, copy / path)
    what = ("tests/jobs", "-k", "returns") if path.endswith("uids.json") else ("tests/catalog",)
    assert LEFT_OUT[path] in checks(copy, *what)
