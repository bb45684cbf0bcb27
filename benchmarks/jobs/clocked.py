"""A batched stage that measures how much CPU its thread spends in Python, for benchmarks/cpu.py."""

from __future__ import annotations

import mmap
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pyflink.datastream import KeyedCoProcessFunction, RuntimeContext

from benchmarks.cpu import CLOCK
from benchmarks.jobs.stacks import Sampler
from tillstream.udfs.batched import BatchedStage
from tillstream.udfs.stage import StageSettings


class Clocked(KeyedCoProcessFunction):
    """Two readings of the thread's clock for each batch: some 0.01 us a record."""

    def __init__(self, function: BatchedStage, folder: str, sample: bool) -> None:
        self.function, self.folder, self.sample = function, folder, sample
        self.sides = function.sides

    @property
    def settings(self) -> StageSettings:
        return self.function.settings

    @settings.setter
    def settings(self, settings: StageSettings) -> None:
        self.function.settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        self.function.open(runtime_context)
        self._begin()

    def _begin(self) -> None:
        path = Path(self.folder) / f"{uuid.uuid4().hex}.clock"
        path.write_bytes(bytes(CLOCK.size))
        with path.open("r+b") as file:
            self.shared = mmap.mmap(file.fileno(), CLOCK.size)
        self.used = self.calls = 0
        self.thread = 0
        if self.sample:
            self.stacks: Counter[str] = Counter()

    def process_element1(self, value: bytes, ctx: Any) -> Iterable[bytes]:
        if not self.thread:
            self.thread = threading.get_native_id()
            if self.sample:
                name = type(self.function).__name__
                Sampler(threading.get_ident(), Path(self.folder) / f"{name}-{self.thread}.stacks")
        began = time.thread_time_ns()
        made = self.function.process_element1(value, ctx)
        self.used += time.thread_time_ns() - began
        self.calls += 1
        CLOCK.pack_into(self.shared, 0, self.thread, self.used, self.calls)
        return made

    def process_element2(self, value: bytes, ctx: Any) -> Iterable[bytes]:
        return self.function.process_element2(value, ctx)
