"""The stand-in for DynamoDB: dynoxide, built once per user by cargo; without cargo, moto's, in memory only.

dynoxide (MIT or Apache 2.0, https://github.com/nubo-db/dynoxide) keeps tables in SQLite and is compared with
DynamoDB by a public suite of tests. With a stream on a table it looks through all changes of the table for
the number of the next one, so each write takes longer than the one before: an index of ours on them makes it
one look (measured, docs/local-stack.md).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tillstream import conf
from tillstream.jars import Progress, one_at_a_time

CRATE, VERSION = "dynoxide-rs", "3.2.0"
FEATURES = "native-sqlite,http-server,cli"
BUILD_TIMEOUT_S = 1_800
CHOSEN = "TILLSTREAM_DYNAMODB"  # moto: in the place of dynoxide, though that could be had
INDEX = """
CREATE INDEX IF NOT EXISTS tillstream_next_change
ON _stream_records (table_name, CAST(sequence_number AS INTEGER))
"""


def folder() -> Path:
    """Where it is built, for all clones of a user."""
    return conf.user_cache() / f"{CRATE}-{VERSION}"


def program() -> Path | None:
    """dynoxide, where it has been built and is to be used."""
    built = folder() / "bin" / "dynoxide"
    return built if built.exists() and os.environ.get(CHOSEN) != "moto" else None


def ensure(progress: Progress) -> None:
    """Builds dynoxide unless it is there. Where it cannot be had, says why, and what is used instead. Safe
    to call from several processes."""
    if program():
        return
    why = _built(progress)
    if why:
        progress(
            f"DynamoDB is moto's ({why}): its tables are in memory, and gone after `tillstream down`"
        )


def command(port: int, data: Path) -> list[str]:
    """What serves the tables in ``data`` on 127.0.0.1."""
    found = program()
    if found is None:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    return [str(found), "--host", "127.0.0.1", "--port", str(port), "--db-path", str(tables(data)),
            "--log", "quiet"]  # fmt: skip


def tables(data: Path) -> Path:
    """The file of all tables."""
    return data / "tables.sqlite"


def index_changes(data: Path) -> None:
    """Once it serves: makes a write to a table with a stream as quick as the first one was. Raises
    sqlite3.Error while the file is in other hands."""
    if tables(data).exists():
        with closing(sqlite3.connect(tables(data), timeout=5)) as opened:
            opened.execute(INDEX)


def _built(progress: Progress) -> str:
    """Why it could not be built; "" if it is there."""
    if os.environ.get(CHOSEN) == "moto":
        return f"{CHOSEN} says so"
    cargo = shutil.which("cargo")
    if cargo is None:
        return "there is no cargo to build dynoxide with: https://rustup.rs"
    log = folder().with_suffix(".log")
    waiting = "another process is building dynoxide: waiting for it"
    with one_at_a_time(folder().with_suffix(".lock"), lambda: progress(waiting)):
        if program():
            return ""
        progress(f"building dynoxide {VERSION}, which stands for DynamoDB (once, some minutes)")
        install = [cargo, "install", CRATE, "--version", VERSION, "--locked", "--root", str(folder()),
                   "--no-default-features", "--features", FEATURES]  # fmt: skip
        with log.open("w") as out:
            try:
                done = subprocess.run(
                    install, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                    timeout=BUILD_TIMEOUT_S, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return f"dynoxide could not be built in {BUILD_TIMEOUT_S // 60} min: {log}"
    return "" if done.returncode == 0 else f"dynoxide could not be built: {log}"


if __name__ == "__main__":
    ensure(print)
