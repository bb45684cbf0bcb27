"""What is wrong on this machine, and the command that fixes it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tillstream import conf, flink_line, jars
from tillstream.clients.java import java
from tillstream.clients.programs import outcome
from tillstream.errors import Problem
from tillstream.local import ports, processes
from tillstream.local.layout import free_mib
from tillstream.local.stack import Stack

MEMORY_NEEDED_MIB = 5 * 1024  # two TaskManagers and the stand-ins, as measured, with headroom
DISK_NEEDED_MIB = 3 * 1024  # jars, their downloads, and some data


@dataclass(frozen=True)
class Finding:
    """One thing looked at; ``fix`` is the command that fixes it."""

    ok: bool
    what: str
    fix: str = ""


def examine(stack: Stack) -> list[Finding]:
    """Looks at everything the stack depends on. Changes nothing."""
    available_mib = psutil.virtual_memory().available // 2**20
    running = bool(processes.all_of(stack.layout.root)) if stack.layout.root.exists() else False
    findings = [
        python(sys.version_info[:2]),
        virtual_environment(),
        java_home(os.environ.get("JAVA_HOME")),
        java_version(_java_says),
        maven(jars.missing_tools() if jars.stale() else []),
        *dependencies(),
        thread_mode(),
        memory(available_mib, running),
        disk(free_mib(stack.layout.home), stack.layout.home),
        jars_built(),
        *stack_record(stack),
    ]
    if not running:
        findings += taken_ports(ports.is_free)
    return findings


def python(version: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, version))
    return Finding(
        text in {line.python for line in flink_line.LINES.values()},
        f"Python {text} (3.11 is needed, or 3.12 for Flink 2.x)",
        "install Python 3.11 (Debian: apt-get install python3.11-venv), then bin/setup",
    )


def virtual_environment() -> Finding:
    return Finding(
        sys.prefix != sys.base_prefix,
        f"virtual environment: {sys.prefix if sys.prefix != sys.base_prefix else 'none'}",
        "bin/setup, then . .venv/bin/activate",
    )


def java_home(value: str | None) -> Finding:
    ok = value is None or (Path(value) / "bin" / "java").exists()
    return Finding(
        ok, f"JAVA_HOME {value or 'not set, java of the PATH is used'}", "unset JAVA_HOME"
    )


def _java_says() -> str:
    done = outcome([java(), "-version"], 20)
    return done.stderr + done.stdout


def java_version(says: Callable[[], str]) -> Finding:
    fix = "install Java 17 (Debian: apt-get install openjdk-17-jdk)"
    try:
        text = says()
    except (Problem, OSError, subprocess.SubprocessError) as error:
        return Finding(False, str(error).splitlines()[0], fix)
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    number = match[1] if match else "unknown"
    return Finding(number in ("11", "17"), f"Java {number} (11 or 17 is needed)", fix)


def maven(missing: list[str]) -> Finding:
    lacking = f": missing {' and '.join(missing)}" if missing else ""
    return Finding(not missing, f"Maven and a JDK, to build jars{lacking}", jars.INSTALL)


def dependencies() -> list[Finding]:
    """Installed versions against those that bin/setup takes."""
    if not conf.is_clone():  # pip has chosen the versions
        return []
    try:
        of_flink = flink_line.installed()
    except Problem as problem:
        return [Finding(False, str(problem), "bin/setup")]
    file = "constraints.txt" if of_flink is flink_line.FIRST else "constraints-2.txt"
    exact = (conf.ROOT / file).read_text().splitlines()
    wrong = []
    for line in (*exact, f"apache-flink=={of_flink.flink}"):
        name, _, wanted = line.partition("==")
        installed = importlib.metadata.distributions(name=name)
        found = next((one.version for one in installed), "missing")
        if wanted and found != wanted:
            wrong.append(f"{name} {found} instead of {wanted}")
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    text = f": {', '.join(wrong[:3])}{more}" if wrong else ""
    return [Finding(not wrong, f"Python packages as in {file}{text}", "bin/setup")]


def thread_mode() -> Finding:
    """Whether the library that runs Python inside a JVM is there, built for this Python."""
    # Not loaded outright: it wants the JVM's symbols, which only a TaskManager has.
    code = (
        "import pathlib, pemja, sysconfig; suffix = sysconfig.get_config_var('EXT_SUFFIX'); "
        "found = pathlib.Path(pemja.__file__).parent / ('pemja_core' + suffix); "
        "assert found.exists(), f'{found.name} is missing'"
    )
    done = outcome([sys.executable, "-c", code], 60)
    said = done.stderr.strip().splitlines()
    return Finding(
        done.returncode == 0,
        f"thread mode can load{': ' + said[-1] if done.returncode and said else ''}",
        "bin/setup (pemja needs a Python built with a shared library, and its headers)",
    )


def memory(available_mib: int, running: bool) -> Finding:
    return Finding(
        running or available_mib >= MEMORY_NEEDED_MIB,
        f"memory available: {available_mib} MiB ({MEMORY_NEEDED_MIB} needed"
        f"{', stack runs already' if running else ''})",
        "stop other programs, or tillstream up --taskmanagers 1",
    )


def disk(free: int, home: Path) -> Finding:
    return Finding(
        free >= DISK_NEEDED_MIB,
        f"disk free for {home}: {free} MiB ({DISK_NEEDED_MIB} needed)",
        "free space, or set TILLSTREAM_HOME to a larger disk; tillstream down --purge frees ours",
    )


def jars_built() -> Finding:
    stale = jars.stale()
    return Finding(
        not stale,
        f"jars built{': missing or old: ' + ', '.join(stale) if stale else ''}",
        "tillstream up (builds them), or python -m tillstream.jars",
    )


def taken_ports(free: Callable[[int], bool]) -> list[Finding]:
    """Taken ports are no failure: the stack takes others."""
    taken = [f"{name} {port}" for name, port in ports.DEFAULTS.items() if not free(port)]
    others = f"ports taken by others: {', '.join(taken)}; up will use free ones"
    return [Finding(True, others if taken else "usual ports are free")]


def stack_record(stack: Stack) -> list[Finding]:
    """Processes that should run and do not, and ones that run without a record."""
    layout = stack.layout
    if not layout.root.exists():
        return [Finding(True, "no stack yet: tillstream up starts one")]
    record = layout.read()
    if not record and layout.file.exists():
        return [Finding(False, f"{layout.file} is damaged", "tillstream down")]
    listed = record.get("processes", {})
    dead = [name for name in listed if not stack.pid(name)]
    live = [name for name in listed if name not in dead]
    lost = set(processes.all_of(layout.root).values()) - set(listed)
    findings = []
    if dead:
        some = f"processes dead: {', '.join(dead)}"
        what = some if live else "stack.json is stale: none of its processes lives"
        findings.append(Finding(False, what, "tillstream up"))
    if lost:
        what = f"processes without a record: {', '.join(sorted(lost))}"
        findings.append(Finding(False, what, "tillstream down"))
    well = f"stack: {len(live)} processes run" if live else "stack: down"
    return findings or [Finding(True, well)]
