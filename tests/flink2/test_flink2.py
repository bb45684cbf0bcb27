"""Nothing keeps the project from Flink 2.2, and the search for it is not blind."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from tests.flink2 import python_side as flink2
from tests.flink2.java_side import Classes, compile_errors
from tillstream import jars

FLINK2 = flink2.folder()


@pytest.mark.long  # fetches some 330 MB, once
@pytest.mark.timeout(1800)
def test_nothing_is_used_that_flink_2_lacks():
    jars.ensure_jars(print)
    flink2.fetch(FLINK2)
    found = flink2.gaps(FLINK2)
    assert not found, "\n".join(f"{gap.file}:{gap.line}: {gap.api}" for gap in found)


def made_up(folder: Path, functions: str) -> flink2.Names:
    package = folder / "pyflink"
    (package / "common").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "common" / "__init__.py").write_text(functions)
    return flink2.Names(package)


def test_names_and_attributes_that_are_gone_are_found(tmp_path):
    now = made_up(tmp_path / "1", "class Time:\n    def hours(self): ...\nclass Types: ...\n")
    then = made_up(tmp_path / "2", "class Types: ...\n")
    used = "from pyflink.common import Time, Types\nimport pyflink.common\nx = Time.hours(3)\n"
    apis = flink2.python_names(ast.parse(used), now)
    assert [(line, api) for line, api in apis if not then.has(api)] == [
        (1, "pyflink.common:Time"),
        (3, ".hours"),
    ]


@pytest.fixture
def jar_folder(tmp_path: Path) -> Path:
    """A jar with org.apache.flink.Made: of() gives one, kept() is inherited."""
    source = tmp_path / "org" / "apache" / "flink"
    source.mkdir(parents=True)
    (source / "Base.java").write_text(
        "package org.apache.flink; public class Base<T> { public T kept() { return null; } }"
    )
    (source / "Made.java").write_text(
        "package org.apache.flink; public class Made extends Base<String> {"
        " public static <T> Made of(T it) { return new Made(); } public int size = 1; }"
    )
    subprocess.run(["javac", "-d", tmp_path, *source.glob("*.java")], check=True, timeout=60)
    (tmp_path / "jars").mkdir()
    made = [f"org/apache/flink/{name}.class" for name in ("Base", "Made")]
    archive = str(tmp_path / "jars" / "made.jar")
    subprocess.run(["jar", "cf", archive, *made], cwd=tmp_path, check=True, timeout=60)
    return tmp_path / "jars"


def test_classes_and_methods_reached_through_the_gateway_are_looked_up(jar_folder):
    code = """
def f():
    made = java().org.apache.flink.Made
    made.of(1).kept()
    made.of(1).size
    made.of(1).of(2).gone()
    java().org.apache.flink.Gone.of(1)
    java().org.apache.kafka.Elsewhere.of(1)
"""
    assert list(Classes(jar_folder).missing(ast.parse(code))) == [
        (6, "org.apache.flink.Made.gone"),
        (7, "org.apache.flink.Gone"),
    ]


def test_our_java_is_compiled_and_no_error_hides_another(jar_folder, tmp_path, monkeypatch):
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "A.java").write_text("import org.apache.flink.Gone;\nclass A { Gone gone; }\n")
    (sources / "B.java").write_text(
        "class B {\n  void f() { org.apache.flink.Made.of(1).gone(); }\n}\n"
    )
    monkeypatch.setenv("TILLSTREAM_JARS", str(tmp_path / "none"))
    empty = jars.jar_set().job
    empty.parent.mkdir(parents=True)
    subprocess.run(["jar", "cf", str(empty), "-C", str(sources), "A.java"], check=True, timeout=60)
    found = {(file.name, line) for file, line, _ in compile_errors(jar_folder, sources)}
    assert found == {("A.java", 1), ("A.java", 2), ("B.java", 2)}
