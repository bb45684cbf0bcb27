"""Java classes and methods that our Python reaches through the gateway, looked up in a set of jars."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tillstream.jars import POM, jar_set

SHADED = "io.tillstream.shaded"

# PyFlink objects give their Java halves in these attributes.
HALVES = {
    "_j_stream_execution_environment": "org.apache.flink.streaming.api.environment."
    "StreamExecutionEnvironment",
    "_j_data_stream": "org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator",
}
_MEMBER = re.compile(r"^  (?:[\w.]+ )*?(?:<.*> )?([\w.$\[\]]+)(?:<.*>)? (\w+)(?:\(.*\).*)?;$")


class Classes:
    """The classes of all jars in ``folder``."""

    def __init__(self, folder: Path) -> None:
        jars = sorted(folder.glob("*.jar"))
        self._path = ":".join(map(str, jars))
        self._there: set[str] = set()
        for jar in jars:
            with zipfile.ZipFile(jar) as packed:
                self._there |= {
                    name.removesuffix(".class").replace("/", ".")
                    for name in packed.namelist()
                    if name.endswith(".class")
                }

    def missing(self, tree: ast.Module) -> Iterable[tuple[int, str]]:
        """(line, class or class.member) that ``tree`` uses and no jar has."""
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef):
                yield from self._missing_in(scope)

    def _missing_in(self, scope: ast.FunctionDef) -> Iterable[tuple[int, str]]:
        known: dict[str, str] = {}
        seen: set[int] = set()
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                reached = self._walk(_chain(node.value), known)
                if isinstance(reached, str):
                    known[node.targets[0].id] = reached
        for node in ast.walk(scope):
            if isinstance(node, ast.Attribute) and id(node) not in seen:
                seen |= {id(inner) for inner in ast.walk(node)}
                reached = self._walk(_chain(node), known)
                if isinstance(reached, Lacking):
                    yield node.lineno, reached.api

    def _walk(self, chain: list[str], known: dict[str, str]) -> str | Lacking | None:
        """The class at the end of ``chain``, what is lacking on the way, None where nothing is known."""
        here: str | None = None
        for place, name in enumerate(chain):
            if here is None:
                if name in HALVES:
                    here = HALVES[name]
                elif place == 0 and name in known:
                    here = known[name]
                elif chain[place : place + 3] == ["org", "apache", "flink"]:
                    here = "org"
                continue
            if here not in self._there:
                if here[:1].islower() and not here.split(".")[-1][:1].isupper():
                    here = f"{here}.{name}"  # still among packages
                    if name[:1].isupper() and here not in self._there:
                        return Lacking(here)
                    continue
                return None
            members = self._members(here)
            if name not in members:
                return Lacking(f"{here}.{name}")
            here = members[name]
            if here not in self._there:
                return None
        return here if here in self._there else None

    @functools.cache  # noqa: B019 - one object a run
    def _members(self, name: str) -> dict[str, str]:
        """Public members with the classes they give, inherited ones included."""
        said = subprocess.run(
            ["javap", "-cp", self._path, "-public", name],
            capture_output=True, text=True, timeout=120, check=True,
        ).stdout  # fmt: skip
        members: dict[str, str] = {}
        for line in said.splitlines():
            if line.startswith(("public", "abstract", "final", "class", "interface")):
                plain = re.sub(r"<[^{]*?>(?=[ ,{]|$)", "", line)
                parents = re.findall(
                    r"(?:extends|implements) ([\w.$, ]+?)(?= implements| \{|$)", plain
                )
                for parent in ",".join(parents).replace(" ", "").split(","):
                    if parent in self._there:
                        members = self._members(parent) | members
            elif match := _MEMBER.match(line):
                members[match[2]] = match[1]
        return members


class Lacking:
    """Not an answer but the lack of one."""

    def __init__(self, api: str) -> None:
        self.api = api


def _chain(node: ast.expr) -> list[str]:
    """a.b(...).c -> [a, b, c]; empty where it starts with something else than a name or a call of one."""
    names: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Name):
            return [*names, node.id][::-1]
        else:
            return []


def compile_errors(folder: Path, sources: Path) -> list[tuple[Path, int, str]]:
    """(file, line, what javac says) of our Java against the jars in ``folder``.

    What is not Flink's (Kafka, Hadoop, the AWS SDK) comes from the job jar, where part of it has other
    package names; the sources are compiled with those.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="tillstream-flink2-") as name:
        scratch = Path(name)
        rest = scratch / "rest.jar"
        _without_flink(jar_set().job, rest)
        moved = re.findall(r"<pattern>([\w.]+)</pattern>", POM.read_text())
        for path in sources.rglob("*.java"):
            text = path.read_text()
            for package in moved:
                text = text.replace(f"import {package}.", f"import {SHADED}.{package}.")
            copy = scratch / "sources" / path.relative_to(sources)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text)
        files = [str(path) for path in sorted((scratch / "sources").rglob("*.java"))]
        classes = ":".join(map(str, [*sorted(folder.glob("*.jar")), rest]))
        command = [
            "javac",
            "-proc:none",
            "-nowarn",
            "-Xmaxerrs",
            "1000",
            "-d",
            name,
            "-cp",
            classes,
        ]
        command.append("-XDshould-stop.ifError=FLOW")  # a missing import hides no other error
        said = subprocess.run(
            [*command, *files], capture_output=True, text=True, timeout=300
        ).stderr
        lines = said.splitlines()
        for number, line in enumerate(lines):
            if match := re.match(r"(/.*\.java):(\d+): error: (.*)", line):
                where = sources / Path(match[1]).relative_to(scratch / "sources")
                detail = "".join(lines[number + 1 : number + 2]).strip()
                found.append((where, int(match[2]), f"{match[3]}: {detail}"))
    return found


def _without_flink(jar: Path, target: Path) -> None:
    leave_out = ("org/apache/flink/", "io/tillstream/flink/")
    with zipfile.ZipFile(jar) as packed, zipfile.ZipFile(target, "w") as out:
        for name in packed.namelist():
            if name.endswith(".class") and not name.startswith(leave_out):
                out.writestr(name, packed.read(name))
