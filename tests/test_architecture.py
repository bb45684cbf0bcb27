"""Imports go one way, no room is a circle or overfull, files stay small, jobs do nothing on import."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support import ROOT

# Folders at the top that the package holds too: jobs/ is tillstream.jobs.
LINKED = ("jobs", "udfs", "state_schemas")
OURS = [p for top in ("tillstream", *LINKED) for p in sorted((ROOT / top).rglob("*.py"))]
ROOM_SIZE = 15

# room -> the rooms it may import besides itself; every room of tillstream/ is here.
TOOLS = {"conf", "errors", "catalog", "jars", "cli", "clients"}
MAY: dict[str, set[str]] = {
    "errors": set(),
    "catalog": {"errors", "state_schemas"},
    "conf": {"errors", "catalog"},
    "flink_line": {"errors"},
    "jars": {"conf", "errors", "flink_line"},
    "domain": set(),
    "state_schemas": {"domain"},
    "udfs": {"state_schemas", "domain", "conf", "catalog", "reference"},
    "connectors": {"conf", "catalog", "state_schemas"},
    "reference": {"conf", "domain"},
    "clients": {"conf", "errors"},
    "cli": {"errors", "conf"},
    "jobs": {"catalog", "connectors", "udfs", "reference", "fraud", "intake"},
    "local": TOOLS | {"flink_line"},
    "cluster": TOOLS | {"local", "state_schemas", "history", "deploy"},
    "deploy": TOOLS | {"cluster", "package", "infra"},
    "history": TOOLS | {"cluster"},
    "replay": TOOLS | {"cluster", "history"},
    "dead_letters": TOOLS | {"cluster", "domain", "intake", "reference"},
    "notify": TOOLS | {"domain"},
    "fraud": TOOLS | {"domain", "reference"},
    "shortage": TOOLS | {"domain", "reference"},
    "stock": TOOLS | {"domain"},
    "sizing": TOOLS,
    "infra": TOOLS | {"flink_line", "sizing"},
    "package": TOOLS | {"connectors", "flink_line", "state_schemas"},
    "till": {"conf", "errors", "cli", "clients"},
    "sim": TOOLS | {"cluster", "till"},
    "intake": TOOLS | {"domain", "reference"},
    "check": {"conf", "errors", "catalog", "cli", "clients", "cluster"},  # how far jobs have read
    "demo": TOOLS | {"check", "cluster", "local", "sim"},
    "chaos": TOOLS | {"check", "cluster", "fraud", "local", "sim"},
    "resources": set(),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "tillstream" else ("tillstream", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path) for path in OURS}


def room(name: str) -> str:
    """``conf`` of tillstream.conf, ``domain`` of tillstream.domain.stock.ledger."""
    return name.split(".")[1] if "." in name else ""


def imports(path: Path) -> set[str]:
    """Our own modules this file imports, ``from a import b`` read as a.b where that is a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    assert not {n for n in found if n.split(".")[0] in LINKED}, "import them as tillstream.<folder>"
    return {name for name in found if name.split(".")[0] == "tillstream"}


@pytest.mark.parametrize("path", OURS, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    name = module_name(path)
    here = room(name)
    assert not here or here in MAY, f"say in this test what the new room {here} may import"
    strays = {i for i in imports(path) if room(i) not in MAY.get(here, set()) | {here, ""}}
    assert not strays, f"{here} may import {sorted(MAY[here])}, not {sorted(strays)}"


# Of the rooms that work on any cluster, the one that is the local stack's; verify starts a scratch stack.
KNOW_THE_STACK = {f"tillstream.cluster.{name}" for name in ("local", "preflight", "verify")}


def test_only_the_local_cluster_knows_the_local_stack() -> None:
    rooms = {"cluster", "replay", "history"}
    found = {
        module_name(path)
        for path in OURS
        if room(module_name(path)) in rooms and any(room(name) == "local" for name in imports(path))
    }
    assert found <= KNOW_THE_STACK


LISTS = re.compile(r"list_objects|pyarrow\.fs|pyarrow import fs|s3fs|FileSelector|get_file_info")


def test_only_one_module_lists_s3() -> None:
    """The others would each have to page as the local stand-in needs it."""
    files = [*OURS, *sorted((ROOT / "benchmarks").rglob("*.py"))]
    lists = {str(p.relative_to(ROOT)) for p in files if LISTS.search(p.read_text())}
    assert lists == {"tillstream/clients/storage.py"}


def test_no_module_imports_itself_by_way_of_others() -> None:
    arrows = {module_name(p): imports(p) & MODULES for p in OURS}
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in done:
            for other in sorted(arrows[name] - {name}):
                walk(other, (*way, name))
            done.add(name)

    for name in sorted(arrows):
        walk(name, ())


def test_no_room_has_more_than_fifteen_files_side_by_side() -> None:
    rooms: dict[Path, list[str]] = defaultdict(list)
    for path in OURS:
        rooms[path.parent].append(path.name)
    too_many = {str(r.relative_to(ROOT)): len(f) for r, f in rooms.items() if len(f) > ROOM_SIZE}
    assert not too_many


@pytest.mark.parametrize("path", OURS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_over_four_hundred_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_a_job_file_only_defines_and_fits_on_a_screen(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 80
    for node in ast.parse(path.read_text()).body:
        allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.If, ast.Assign)
        assert isinstance(node, allowed) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ), f"{path.name}:{node.lineno} runs on import"
