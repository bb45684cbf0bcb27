"""What keeps the project from Flink 2.2: uses of ours that its wheels and connectors lack.

Names of pyflink in Python, Java classes and methods reached through the gateway, and whatever our own
Java does not compile against. Nothing is run on Flink 2.2: what is there may still behave otherwise.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.flink2.java_side import Classes, compile_errors
from tillstream import conf

VERSION = "2.2"
PACKAGES = [f"apache-flink=={VERSION}.*", f"apache-flink-libraries=={VERSION}.*"]
# Not in the wheels: each has releases of its own for 2.x.
CONNECTORS = [
    "org.apache.flink:flink-connector-kafka:4.0.1-2.0",
    "org.apache.flink:flink-connector-base:2.2.0",
    "org.apache.flink:flink-parquet:2.2.0",
]
OURS = ("jobs", "udfs", "state_schemas", "tillstream")
JAVA = "java/src/main/java"


class Gap(NamedTuple):
    """One use of what Flink 2.2 lacks."""

    file: str
    line: int
    api: str


def folder() -> Path:
    """Where Flink 2.2 is kept: python/ and jars/."""
    return conf.home() / f"flink-{VERSION}"


def fetch(into: Path) -> None:
    """Fetches what is missing, with pip and Maven."""
    if (into / "complete").exists():
        return
    shutil.rmtree(into, ignore_errors=True)
    wheels, jars = into / "wheels", into / "jars"
    jars.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels)]
    _run([*pip, *PACKAGES])
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            for name in packed.namelist():
                if name.endswith((".py", ".pyi")):
                    packed.extract(name, into / "python")
                elif name.startswith(("pyflink/lib/", "pyflink/opt/flink-python")):
                    (jars / Path(name).name).write_bytes(packed.read(name))
    shutil.rmtree(wheels)
    for artifact in CONNECTORS:
        _run(["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={artifact}",
              f"-DoutputDirectory={jars}"])  # fmt: skip
    (into / "complete").touch()


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SystemExit(f"{command[0]}: {error}") from None
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise SystemExit(f"{' '.join(command)} failed: {said[-1] if said else 'no reason given'}")


def gaps(flink: Path, root: Path = conf.ROOT) -> list[Gap]:
    """Everything of ours that ``flink`` (a fetched folder) lacks."""
    import pyflink

    now, then = Names(Path(pyflink.__file__).parent), Names(flink / "python" / "pyflink")
    classes = Classes(flink / "jars")
    found: list[Gap] = []
    files = [path for top in OURS for path in sorted((root / top).rglob("*.py"))]
    trees = {str(path.relative_to(root)): ast.parse(path.read_text()) for path in files}
    own = defined(trees.values())
    for name, tree in trees.items():
        used = [(line, api) for line, api in python_names(tree, now) if api[1:] not in own]
        found += [Gap(name, line, api) for line, api in used if not then.has(api)]
        found += [Gap(name, line, api) for line, api in classes.missing(tree)]
    for file, line, said in compile_errors(flink / "jars", root / JAVA):
        found.append(Gap(str(file.relative_to(root)), line, said))
    return found


def defined(trees: Iterable[ast.Module]) -> set[str]:
    """Attributes of our own: they may be called as one of pyflink's."""
    names = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
    return names


class Names:
    """What one pyflink defines: modules with their names, and every attribute of any class."""

    def __init__(self, package: Path) -> None:
        self.modules: dict[str, set[str]] = {}
        self.classes: dict[str, set[str]] = {}
        self.attributes: set[str] = set()
        # Names that protobuf makes at run time are in its stubs only.
        for path in [*package.rglob("*.py"), *package.rglob("*.pyi")]:
            module = ".".join(path.relative_to(package.parent).with_suffix("").parts)
            self._read(module.removesuffix(".__init__"), ast.parse(path.read_text()))

    def _read(self, module: str, tree: ast.Module) -> None:
        names = self.modules.setdefault(module, set())
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names |= {alias.asname or alias.name for alias in node.names}
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
                self.attributes.add(node.name)
                if isinstance(node, ast.ClassDef):
                    members = self.classes.setdefault(node.name, set())
                    members |= {getattr(part, "name", "") for part in node.body}
                    members |= {base.id for base in node.bases if isinstance(base, ast.Name)}
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                self.attributes.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
                self.attributes.add(node.id)

    def has(self, api: str) -> bool:
        """``api``: module, module:name, or .attribute of whatever class."""
        if api.startswith("."):
            return api[1:] in self.attributes
        module, _, name = api.partition(":")
        return module in self.modules and (not name or name in self.modules[module] or
                                           f"{module}.{name}" in self.modules)  # fmt: skip


def python_names(tree: ast.Module, now: Names) -> Iterable[tuple[int, str]]:
    """(line, api) of pyflink's modules, names and attributes in use, as ``Names.has`` takes them.

    An attribute counts where the module imports pyflink and today's pyflink has one of that name.
    """
    uses = False
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pyflink"):
            uses = True
            for alias in node.names:
                yield node.lineno, f"{node.module}:{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("pyflink"):
                    uses = True
                    yield node.lineno, alias.name
    for node in ast.walk(tree):
        if uses and isinstance(node, ast.Attribute) and node.attr in now.attributes:
            yield node.lineno, f".{node.attr}"
