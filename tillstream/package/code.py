"""The part of our package that a job runs with: what it imports, as the source says, and data beside it."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tillstream.conf import PACKAGE

DATA = (
    ".json",
    ".yaml",
)  # of a packed module's folder: texts, the rules to start with, frozen versions


def modules(job: str) -> dict[str, Path]:
    """Name -> file of every module of ours that jobs/<job>.py imports, by whatever way."""
    found: dict[str, Path] = {}
    waiting = deque([f"tillstream.jobs.{job}"])
    while waiting:
        name = waiting.popleft()
        file = _file(name)
        if file is None or name in found:
            continue
        found[name] = file
        waiting += [name.rpartition(".")[0], *_imports(file)]
    return found


def outside(files: Iterable[Path]) -> set[str]:
    """Top-level modules that these files import and that are not ours."""
    return {name.partition(".")[0] for file in files for name in _imports(file)} - {"tillstream"}


def files(job: str) -> dict[str, Path]:
    """Path on sys.path -> file, of those modules and of the data beside them."""
    found: dict[str, Path] = {}
    for file in modules(job).values():
        beside = [one for one in file.parent.iterdir() if one.suffix in DATA and one.is_file()]
        for one in (file, *beside):
            found[one.relative_to(PACKAGE.parent).as_posix()] = one
    return found


def _file(name: str) -> Path | None:
    top, *inner = name.split(".")
    if top != PACKAGE.name:
        return None
    path = PACKAGE.joinpath(*inner)
    package, module = path / "__init__.py", path.with_suffix(".py")
    return next((one for one in (package, module) if one.is_file()), None)


@cache
def _imports(file: Path) -> tuple[str, ...]:
    """``from a import b`` as a and as a.b, which may be a module too."""
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += (node.module, *(f"{node.module}.{one.name}" for one in node.names))
    return tuple(found)
