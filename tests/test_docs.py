"""What the docs name exists: paths of ours, commands, links; README's rule is the one in the code."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tests.support import ROOT
from tillstream.cli import main

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TOPS = "jobs|udfs|state_schemas|conf|java|tillstream|tests|benchmarks|docs|bin|docker"
PATH = re.compile(rf"`((?:{TOPS})/[\w./-]*)`")
COMMAND = re.compile(r"(?:`|^|\$ |bin/)tillstream ([a-z]+)(?: ([a-z]+(?:-[a-z]+)?))?", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)?(?:#([^)\s]+))?\)")
GROUPS = click.Context(main)


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_paths_in_backticks_exist(page: Path) -> None:
    named = set(PATH.findall(page.read_text()))
    assert not {path for path in named if not (ROOT / path).exists()}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_exist(page: Path) -> None:
    missing = []
    for name, inner in COMMAND.findall(page.read_text()):
        command = main.get_command(GROUPS, name)
        if command is None or (
            isinstance(command, click.Group) and inner and inner not in command.commands
        ):
            missing.append(f"tillstream {name} {inner}".strip())
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_resolve(page: Path) -> None:
    broken = []
    for target, anchor in LINK.findall(page.read_text()):
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        known = file.exists() and (not anchor or file.suffix != ".md" or anchor in anchors(file))
        if not known:
            broken.append(f"{target}#{anchor}")
    assert not broken


def test_the_rule_in_the_readme_is_the_one_in_the_code() -> None:
    shown = re.search(r"```python\n(.+?)```", PAGES[0].read_text(), re.DOTALL)
    assert shown
    assert shown[1] in (ROOT / "tillstream/domain/loyalty/ledger.py").read_text()
