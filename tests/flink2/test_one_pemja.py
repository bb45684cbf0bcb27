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
    public static void main(String[] given) throws Exception {
        boolean busy = Boolean.parseBoolean(given[0]);
        ClassLoader first = new URLClassLoader(new URL[0]), second = new URLClassLoader(new URL[0]);
        for (ClassLoader loader : new ClassLoader[] {first, first, second}) {
            System.out.println("asked");
            OnePemja.see(loader, () -> busy, code -> Runtime.getRuntime().halt(code));
        }
    }
}
"""


@pytest.mark.parametrize(
    ("busy", "code", "said"),
    [
        ("false", 70, "The process ends with code 70"),
        ("true", 1, "Python of another job runs in this TaskManager"),
    ],
)
def test_the_second_class_loader_ends_the_process_unless_the_first_ones_job_runs(
    busy: str, code: int, said: str, tmp_path: Path
):
    source = tmp_path / "Twice.java"
    source.write_text(PROGRAM)
    there = [*(wheel() / "lib").glob("*.jar"), jars.ensure_jars(print, ("job",)).job]
    path = ":".join(map(str, there))
    done = subprocess.run(
        ["java", "-cp", path, str(source), busy],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout.count("asked\n")) == (code, 3)
    assert said in done.stdout + done.stderr
