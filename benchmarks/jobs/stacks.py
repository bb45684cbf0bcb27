"""Samples the Python stack of one thread from another: where py-spy cannot look into a process.

A sample is taken when the interpreter switches threads, so it falls between two bytecodes: what is
spent inside a C function is counted for the Python function that called it. Walking the frames of a
thread that runs has been seen to crash CPython 3.11: what is sampled is a process to be thrown away.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_S = 0.005
WRITE_S = 2.0


class Sampler(threading.Thread):
    """Writes ``caller;callee count`` lines to a file, every two seconds anew."""

    def __init__(self, ident: int, path: Path) -> None:
        super().__init__(daemon=True, name="stack sampler")
        self._watched, self._path = ident, path
        self.found: Counter[str] = Counter()
        self.start()

    def run(self) -> None:
        written = time.monotonic()
        while True:
            time.sleep(EVERY_S)
            frame = sys._current_frames().get(self._watched)
            self.found[collapsed(frame)] += 1
            if time.monotonic() - written > WRITE_S:
                written = time.monotonic()
                lines = [f"{stack} {count}" for stack, count in self.found.most_common()]
                self._path.write_text("\n".join(lines) + "\n")


def collapsed(frame: FrameType | None) -> str:
    """``module.function;...`` from the outermost inwards; "(not in Python)" without a frame."""
    names: list[str] = []
    while frame is not None:
        module = Path(frame.f_code.co_filename).stem
        names.append(f"{module}.{frame.f_code.co_qualname}:{frame.f_lineno}")
        frame = frame.f_back
    return ";".join(reversed(names)) or "(not in Python)"
