"""Imports go one way, files stay small, and jobs do nothing on import."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOPS = ("tillstream", "jobs", "udfs", "state_schemas")
OURS = [p for top in TOPS for p in sorted((ROOT / top).rglob("*.py"))]

# room -> what it may import of ours
MAY = {
    "tillstream.domain": {"tillstream.domain"},
    "state_schemas": {"state_schemas", "tillstream.domain"},
    "udfs": {"udfs", "state_schemas", "tillstream.domain", "tillstream.conf"},
    "tillstream.connectors": {"tillstream.connectors", "tillstream.conf"},
    "tillstream.check": {"tillstream.check", "tillstream.conf", "tillstream.connectors.clients"},
    "tillstream.conf": set(),
}
NEVER_JOBS = ("tillstream.connectors", "tillstream.local", "tillstream.ops", "tillstream.sim")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Our own modules this file imports, ``from a import b`` read as a.b where that is a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = ROOT / Path(*node.module.split("."), alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").exists()
                found.add(f"{node.module}.{alias.name}" if is_module else node.module)
    return {name for name in found if name.split(".")[0] in TOPS}


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


@pytest.mark.parametrize("path", OURS, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    name = module_name(path)
    for room, allowed in MAY.items():
        if within(name, room):
            strays = {i for i in imports(path) if not any(within(i, a) for a in allowed)}
            assert not strays, f"{name} may import only {sorted(allowed)}, not {sorted(strays)}"
    if name.startswith(NEVER_JOBS):
        assert not {i for i in imports(path) if within(i, "jobs")}


@pytest.mark.parametrize("path", OURS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_over_four_hundred_lines(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_a_job_file_only_defines(path):
    for node in ast.parse(path.read_text()).body:
        allowed = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.If, ast.Assign)
        assert isinstance(node, allowed) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ), f"{path.name}:{node.lineno} runs on import"
