"""The jars a job and the local stack need, built once by Maven from conf/pom.xml.

``python -m tillstream.jars`` builds what is missing or out of date and prints where it
is. What is up to date is known by a hash of its part of the pom and, for the job jar, of the Java
sources, so a second call does nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from tillstream import conf, flink_line
from tillstream.errors import Problem

POM = conf.RESOURCES / "conf" / "pom.xml"
JAVA_SOURCES = conf.RESOURCES / "java" / "src" / "main"
# Of everything that Maven packs, so that the same sources become the same jar, wherever and whenever.
BUILT_AT = "2026-01-01T00:00:00Z"
BUILD_TIMEOUT_S = 1800  # the first build downloads some 400 MB
INSTALL = "install Maven and a JDK (Debian: apt-get install maven openjdk-17-jdk)"
_NS = {"m": "http://maven.apache.org/POM/4.0.0"}

# profile in the pom -> where its result is, relative to the jar folder
PARTS = {
    "job": "tillstream-flink.jar",
    "s3-plugin": "plugins/s3-fs-hadoop",
    "kafka": "kafka",
    "s3proxy": "s3proxy",
}
OF_FLINK = ("job", "s3-plugin")  # built for one line of Flink; the stand-ins serve all

Progress = Callable[[str], None]


class JarsError(Problem):
    """The jars could not be built; the message says why, what to do, and where the log is."""


class JarSet:
    """Where the jars are: one file for the job, one folder for each local stand-in. What is built for the
    installed line of Flink, if that is not the first, is in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        of_flink = _home(folder, "job")
        self.job = of_flink / PARTS["job"]  # the one shaded jar with every connector
        self.plugins = of_flink / "plugins"  # to link into a Flink home: holds s3-fs-hadoop/
        self.kafka = folder / PARTS["kafka"]
        self.s3proxy = folder / PARTS["s3proxy"]

    @property
    def job_version(self) -> str:
        """Hash of what the job jar was built of; "" if it is not built."""
        return _stamp(self.folder, "job")


def jar_set() -> JarSet:
    """Where the jars belong, built or not: $TILLSTREAM_JARS, or <own folder>/jars.

    Not under $TILLSTREAM_HOME: many stacks share one set of jars.
    """
    return JarSet(Path(os.environ.get("TILLSTREAM_JARS") or conf.own_folder() / "jars"))


def stale(parts: Iterable[str] = tuple(PARTS)) -> list[str]:
    """Which of the parts are missing or older than the pom or the Java sources."""
    folder = jar_set().folder
    return [part for part in parts if not _fresh(folder, part)]


def ensure_jars(
    progress: Progress = lambda line: None, parts: Iterable[str] = tuple(PARTS)
) -> JarSet:
    """Build what is missing of ``parts``; ``progress`` gets a line before each step.

    Raises JarsError. Safe to call from several processes: one builds, the others wait.
    """
    jars = jar_set()
    if not stale(parts):
        return jars
    others = "another process is building the jars: waiting for it"
    with one_at_a_time(jars.folder / ".lock", lambda: progress(others)):
        wanted = stale(parts)  # again: another process may have built them while we waited
        if wanted and (missing := missing_tools()):
            raise JarsError(f"{' and '.join(missing)} missing: {INSTALL}")
        for number, part in enumerate(wanted, 1):
            progress(f"building jars {number}/{len(wanted)}: {part} (the first time downloads)")
            _build(jars.folder, part)
    return jars


def _fresh(folder: Path, part: str) -> bool:
    return (_home(folder, part) / PARTS[part]).exists() and _stamp(folder, part) == _digest(part)


def _of_line(part: str) -> str:
    """Profile of the pom with a line's versions, and folder of what is built by it; "" of the first line, and
    of what serves all."""
    line = flink_line.installed()
    return f"flink-{line.name}" if part in OF_FLINK and line is not flink_line.FIRST else ""


def _home(folder: Path, part: str) -> Path:
    return folder / _of_line(part)


def _profiles(part: str) -> list[str]:
    return [part, *filter(None, [_of_line(part)])]


def _stamp(folder: Path, part: str) -> str:
    stamp = _home(folder, part) / ".stamps" / part
    return stamp.read_text().strip() if stamp.exists() else ""


def _digest(part: str) -> str:
    """Hash of everything that decides what ``part`` becomes."""
    pom = ET.parse(POM).getroot()
    digest = hashlib.sha256()
    profiles = [f"m:profiles/m:profile[m:id='{profile}']" for profile in _profiles(part)]
    for path in ("m:properties", "m:build", *profiles):
        node = pom.find(path, _NS)
        if node is None:
            raise JarsError(f"conf/pom.xml has no {path.replace('m:', '')}")
        digest.update(ET.tostring(node))
    if part == "job":
        for source in sorted(path for path in JAVA_SOURCES.rglob("*") if path.is_file()):
            digest.update(str(source.relative_to(JAVA_SOURCES)).encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()


def missing_tools() -> list[str]:
    """What a build needs and the PATH has not."""
    return [name for name in ("mvn", "javac") if shutil.which(name) is None]


def _build(folder: Path, part: str) -> None:
    """Build aside, then swap in, so that an interrupted build leaves the old result whole."""
    folder = _home(folder, part)
    aside = folder / ".build" / part
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    log = folder / "logs" / f"{part}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    digest = _digest(part)
    command = [
        *("mvn", "-B", "-ntp", "-f", str(POM), "-P", ",".join(_profiles(part))),
        f"-Dtillstream.jars={aside}",
        f"-Dtillstream.target={aside}",
        f"-Dproject.build.outputTimestamp={BUILT_AT}",
        "package" if part == "job" else "generate-sources",
    ]
    with log.open("w") as out:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=BUILD_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise JarsError(
                f"Maven took more than {BUILD_TIMEOUT_S // 60} min for the jars '{part}': "
                f"check the network, then try again; log: {log}"
            ) from None
    if done.returncode != 0:
        raise JarsError(f"Maven could not build the jars '{part}': {_reason(log)}; log: {log}")
    target = folder / PARTS[part]
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(aside / PARTS[part], target)
    shutil.rmtree(aside, ignore_errors=True)
    stamps = folder / ".stamps"
    stamps.mkdir(exist_ok=True)
    (stamps / part).write_text(digest + "\n")


_OFFLINE = re.compile(r"Unknown host|Could not transfer artifact|Connection (refused|timed out)")


def _reason(log: Path) -> str:
    """The one line of a Maven log that says what went wrong."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    errors = [line[8:].strip() for line in text.splitlines() if line.startswith("[ERROR] ")]
    compiler = [line for line in errors if ".java:[" in line]
    if compiler:
        return compiler[0]
    if _OFFLINE.search(text):
        return "Maven Central cannot be reached (check the network or Maven's settings.xml)"
    if "No space left on device" in text:
        return "the disk is full (free some 2 GB)"
    return errors[0].split(" -> [Help")[0] if errors else "no reason given"


@contextlib.contextmanager
def one_at_a_time(
    file: Path, waiting: Callable[[], None] = lambda: None, wait: bool = True
) -> Iterator[None]:
    """Holds a lock on ``file``; where another process holds it, calls ``waiting`` and waits, or raises
    BlockingIOError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield  # closing the file lets go of the lock


@click.command()
def main() -> None:
    """Build what is missing or out of date, and print where it is."""
    started = time.monotonic()
    jars = ensure_jars(click.echo)
    size_mb = jars.job.stat().st_size / 1e6
    click.echo(f"{jars.job} ({size_mb:.0f} MB), ready in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
