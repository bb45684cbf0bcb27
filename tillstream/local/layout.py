"""Where the stack keeps what, and the environment its processes get."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tillstream import conf
from tillstream.errors import Problem

HERE = Path(__file__).resolve().parent
REGION = "af-south-1"
_NOT_INHERITED = {"PYTHONHOME", "AWS_PROFILE", "AWS_SESSION_TOKEN"}
# Where the stack's processes and jobs take the package from; without it, where this process has it from.
CODE = "TILLSTREAM_CODE"
CREDENTIAL = "local"  # both halves; the stand-ins accept nothing else and protect nothing


class StackError(Problem):
    """The stack cannot do what was asked; the message says why and what to do."""


class Layout:
    """Folders of one stack under its home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "stack"
        self.file = self.root / "stack.json"
        self.logs = self.root / "logs"
        self.data = self.root / "data"
        self.flink = self.root / "flink"
        self.checkpoints = self.data / "checkpoints"
        self.savepoints = self.data / "savepoints"
        self.leader = (
            self.data / "leader"
        )  # what a new JobManager takes over: which jobs run, blobs

    def make(self) -> None:
        """The folders that the processes expect."""
        for folder in (self.checkpoints, self.savepoints, self.data / "tmp", self.logs):
            folder.mkdir(parents=True, exist_ok=True)

    def log(self, name: str) -> Path:
        """What a process logs itself; rotated by its logging library."""
        return self.logs / f"{name}.log"

    def output(self, name: str) -> Path:
        """What a process prints; rotated when it starts."""
        return self.logs / f"{name}.out"

    def must_read(self) -> dict[str, Any]:
        """stack.json. Raises ConfError for a broken setting, else StackError if there is no stack."""
        found = self.read()
        if not found:
            conf.load(conf.LOCAL)
            elsewhere = "; for another environment set TILLSTREAM_ENV" if conf.unsaid() else ""
            raise StackError(f"there is no stack: run `tillstream up`{elsewhere}")
        return found

    def read(self) -> dict[str, Any]:
        """stack.json, {} if there is none or it is damaged."""
        return conf.read_stack(self.file)

    def must_be_writable(self) -> None:
        """Makes the stack's folder. Raises StackError where none can be."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            if error.errno == errno.ENOSPC:  # which has words of its own
                return
            raise StackError(
                f"the stack cannot be kept under {self.home} ({error.strerror}): set TILLSTREAM_HOME to "
                "a folder that can be written"
            ) from None

    def write(self, stack: dict[str, Any]) -> None:
        """Replaces stack.json whole: a reader sees the old or the new."""
        self.root.mkdir(parents=True, exist_ok=True)
        aside = self.file.with_suffix(".tmp")
        aside.write_text(json.dumps(stack, indent=2) + "\n")
        aside.replace(self.file)


def free_mib(folder: Path) -> int:
    """Of the disk that ``folder`` is on, or will be."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free // 2**20


def environment(layout: Layout) -> dict[str, str]:
    """Environment of the stack's processes and of the job client.

    Thread mode finds Python by PATH and VIRTUAL_ENV; without AWS_CBOR_DISABLE the Kinesis source
    reads nothing from an emulator, and says nothing.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    return inherited | dict(
        VIRTUAL_ENV=sys.prefix,
        PATH=f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        PYTHONPATH=os.environ.get(CODE) or str(conf.ROOT),
        TILLSTREAM_HOME=str(layout.home),
        TILLSTREAM_ENV=conf.LOCAL,
        LC_ALL="C.UTF-8",  # or Java opens no file whose path has other letters than ASCII's
        AWS_CBOR_DISABLE="1",
        AWS_ACCESS_KEY_ID=CREDENTIAL,
        AWS_SECRET_ACCESS_KEY=CREDENTIAL,
        AWS_REGION=REGION,
        AWS_DEFAULT_REGION=REGION,
        AWS_EC2_METADATA_DISABLED="true",
    )
