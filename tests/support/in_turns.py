"""A bucket in memory whose calls are points where others may run, in an order that a test draws."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from tillstream.clients.storage import StorageError, Stored
from tillstream.errors import Problem


class Killed(BaseException):
    """The machine goes down."""


class Bucket:
    """The calls of `S3Folder` on files in memory. name -> bytes, written_ms, tag."""

    root = "mem://"

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, int, str]] = {}
        self.pause: Callable[[], None] = lambda: None
        self._written = 0

    def put(self, name: str, data: bytes, written_ms: int) -> str:
        self._written += 1
        self.kept[name] = data, written_ms, str(self._written)
        return str(self._written)

    def files(self, under: str = "", after: str = "") -> Iterator[Stored]:
        self.pause()
        for name, (data, written_ms, _) in sorted(self.kept.items()):
            if name.startswith(under) and name > after:
                yield Stored(name, len(data), written_ms)

    def read(self, name: str) -> bytes | None:
        self.pause()
        return self.kept[name][0] if name in self.kept else None

    def get(self, name: str) -> bytes:
        data = self.read(name)
        if data is None:
            raise StorageError(f"{name} is gone")
        return data

    def size(self, name: str) -> int | None:
        data = self.read(name)
        return None if data is None else len(data)

    def tagged(self, name: str) -> tuple[bytes, str] | None:
        self.pause()
        found = self.kept.get(name)
        return (found[0], found[2]) if found else None

    def write(self, name: str, data: bytes) -> None:
        self.pause()
        self.put(name, data, 10**12)
        self.pause()

    def swap(self, name: str, data: bytes, tag: str | None) -> str | None:
        self.pause()
        there = self.kept[name][2] if name in self.kept else None
        made = self.put(name, data, 10**12) if there == tag else None
        self.pause()
        return made

    def delete(self, names: list[str]) -> None:
        for name in names:
            self.pause()
            self.kept.pop(name, None)


class Actor(threading.Thread):
    """Does ``work``, a step whenever it is told to."""

    def __init__(self, turns: Turns, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.turns, self.work = turns, work
        self.go, self.is_killed, self.refused = threading.Semaphore(0), False, ""
        self.is_over = False

    def run(self) -> None:
        try:
            self.turns.pause()
            self.work()
        except Problem as problem:
            self.refused = problem.message
        except Killed:
            pass
        finally:
            self.is_over = True
            self.turns.back.release()


class Turns:
    """Who runs when. ``after``: called after each step. ``clock_s`` moves when somebody sleeps."""

    def __init__(self, bucket: Bucket, after: Callable[[], None]) -> None:
        self.back, self.clock_s, self._after = threading.Semaphore(0), 0.0, after
        self.actors: list[Actor] = []
        self._running: Actor | None = None
        bucket.pause = self.pause

    def add(self, work: Callable[[], None]) -> Actor:
        actor = Actor(self, work)
        self.actors.append(actor)
        actor.start()
        self.back.acquire()
        return actor

    def pause(self) -> None:
        """Called by an actor: others may run now."""
        me = threading.current_thread()
        if isinstance(me, Actor):
            self.back.release()
            me.go.acquire()
            if me.is_killed:
                raise Killed

    def now(self) -> float:
        return self.clock_s

    def sleep(self, seconds: float) -> None:
        self.clock_s += seconds
        self.pause()

    def step(self, actor: Actor) -> None:
        if not actor.is_over:
            actor.go.release()
            self.back.acquire()
            self._after()

    def kill(self, actor: Actor) -> None:
        while not actor.is_over:
            actor.is_killed = True
            actor.go.release()
            self.back.acquire()

    def end(self) -> None:
        """All that are left, in turns, until they are through."""
        while not all(actor.is_over for actor in self.actors):
            for actor in self.actors:
                self.step(actor)
