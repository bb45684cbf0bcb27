"""Java and the Flink inside the PyFlink wheel."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import yaml

from tillstream.errors import Problem


def java(home: str | None = None) -> str:
    """The Java to run: ``home``'s (Flink's setting env.java.home), else $JAVA_HOME's, else the one on
    the PATH. Raises Problem."""
    name, home = ("env.java.home", home) if home else ("JAVA_HOME", os.environ.get("JAVA_HOME"))
    if home:
        binary = Path(home) / "bin" / "java"
        if not binary.exists():
            raise Problem(f"{name}={home} has no bin/java: unset {name} or correct it")
        return str(binary)
    found = shutil.which("java")
    if found is None:
        raise Problem("Java is missing: install it (Debian: apt-get install openjdk-17-jdk)")
    return found


def java_with_log(log: Path, log4j: Path, options: list[str], home: str | None = None) -> list[str]:
    """A command as far as the class path: what it logs goes to ``log``, as ``log4j`` says."""
    return [
        java(home),
        *options,
        f"-Dlog.file={log}",
        f"-Dlog4j.configurationFile={log4j.as_uri()}",
    ]


def wheel() -> Path:
    """Folder of the installed pyflink, which holds bin/, lib/, opt/ and conf/."""
    import pyflink

    return Path(pyflink.__file__).resolve().parent


def java_options() -> list[str]:
    """--add-opens and --add-exports that Flink needs on Java 17, from the wheel's own config."""
    settings = yaml.safe_load((wheel() / "conf" / "config.yaml").read_text())
    return settings["env"]["java"]["opts"]["all"].split()
