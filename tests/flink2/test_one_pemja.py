"""A JVM that has Python of one class loader ends before it is asked for that of another."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tillstream import jars
from tillstream.clients.java import wheel

PROGRAM = """
import io.tillstream.flink.OnePemja;
import java.net.URL;
import java.net.URLClassLoader;

public class Twice {
    public static void main(String[] java) throws Exception {
        int version = Integer.parseInt(java[0]);
        ClassLoader first = new URLClassLoader(new URL[0]), second = new URLClassLoader(new URL[0]);
        for (ClassLoader loader : new ClassLoader[] {first, first, second}) {
            System.out.println("asked");
            OnePemja.see(loader, version, code -> Runtime.getRuntime().halt(code));
        }
    }
}
"""


@pytest.mark.parametrize(("java", "code"), [(11, 0), (17, 70)])
def test_the_second_class_loader_ends_the_process_where_java_loads_no_library_twice(
    java: int, code: int, tmp_path: Path
):
    source = tmp_path / "Twice.java"
    source.write_text(PROGRAM)
    there = [*(wheel() / "lib").glob("*.jar"), jars.ensure_jars(print, ("job",)).job]
    path = ":".join(map(str, there))
    done = subprocess.run(
        ["java", "-cp", path, str(source), str(java)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.count("asked\n")) == (code, 3)
    assert ("cannot be loaded twice" in done.stdout) == (code == 70)
