"""Where the stack keeps what, and the environment its processes get."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tillstream import conf
from tillstream.errors import Problem

HERE = Path(__file__).resolve().parent
REGION = "af-south-1"
CREDENTIAL = "local"  # both halves; the stand-ins accept nothing else and protect nothing


class StackError(Problem):
    """The stack cannot do what was asked; the message says why and what to do."""


@dataclass(frozen=True)
class Layout:
    """Folders of one stack under its home."""

    home: Path

    @property
    def root(self) -> Path:
        return self.home / "stack"

    @property
    def file(self) -> Path:
        return self.root / "stack.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def flink(self) -> Path:
        return self.root / "flink"

    @property
    def checkpoints(self) -> Path:
        return self.data / "checkpoints"

    @property
    def savepoints(self) -> Path:
        return self.data / "savepoints"

    def log(self, name: str) -> Path:
        """What a process logs itself; rotated by its logging library."""
        return self.logs / f"{name}.log"

    def output(self, name: str) -> Path:
        """What a process prints; rotated when it starts."""
        return self.logs / f"{name}.out"

    def read(self) -> dict[str, Any]:
        """stack.json, {} if there is none or it is damaged."""
        return conf.read_stack(self.file)

    def write(self, stack: dict[str, Any]) -> None:
        """Replaces stack.json whole: a reader sees the old or the new."""
        self.root.mkdir(parents=True, exist_ok=True)
        aside = self.file.with_suffix(".tmp")
        aside.write_text(json.dumps(stack, indent=2) + "\n")
        aside.replace(self.file)


def environment(layout: Layout) -> dict[str, str]:
    """Environment of the stack's processes and of the job client.

    Thread mode finds Python by PATH and VIRTUAL_ENV; without AWS_CBOR_DISABLE the Kinesis source
    reads nothing from an emulator, and says nothing.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    env.update(
        VIRTUAL_ENV=sys.prefix,
        PATH=f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        PYTHONPATH=str(conf.ROOT),
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
    env.pop("AWS_PROFILE", None)
    env.pop("AWS_SESSION_TOKEN", None)
    return env
