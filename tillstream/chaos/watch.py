"""What is looked at while a run is under way: versions of hot items, memory of each process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tillstream import catalog
from tillstream.catalog.resources import Table
from tillstream.chaos.rig import Rig
from tillstream.clients import aws as clients
from tillstream.errors import Problem
from tillstream.local import processes

EVERY_S = 3.0
REST = 10  # times as long as a look took: the stand-in reads every item whole, and has the jobs to serve
SHOWN = 10

Versions = Iterable[tuple[str, int]]


class Fallbacks:
    """Hot items whose version became smaller from one look to the next."""

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}
        self.found: list[str] = []

    def look(self, items: Versions) -> None:
        for key, version in items:
            before = self.newest.get(key, version)
            if version < before:
                self.found.append(f"{key} fell back from version {before} to {version}")
            self.newest[key] = max(before, version)


class Watch:
    """Looks every few seconds until it is left. ``memory``: (pid, MiB) by process, oldest first.
    ``looks``: those that succeeded. ``problem``: what ended the looking before."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.fallbacks = Fallbacks()
        self.memory: dict[str, list[tuple[int, int]]] = {}
        self.looks = 0
        self.problem = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        jobs = [catalog.job(name) for name in rig.plan.jobs]
        hot = {table.id: table for job in jobs for table in job.tables}
        self._tables = [
            table for table in hot.values() if ("version", "version", "N") in table.fields
        ]

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            self._look()
        except Exception as error:  # or it would end silently
            self.problem = f"{type(error).__name__}: {error}"

    def _look(self) -> None:
        client = clients.client("dynamodb", self.rig.conf.dynamodb.endpoint, self.rig.conf.region, True,
                                attempts=1, read_timeout_s=10)  # fmt: skip
        took_s = 0.0
        while not self._stop.wait(max(EVERY_S, REST * took_s)):
            self._weigh()
            began = time.monotonic()
            with contextlib.suppress(BotoCoreError, ClientError):  # down or frozen now and then
                for table in self._tables:
                    self.fallbacks.look(list(_versions(client, self.rig.conf.table(table), table)))
                self.looks += 1
            took_s = time.monotonic() - began

    def _weigh(self) -> None:
        with contextlib.suppress(Problem):
            for name, record in self.rig.stack.layout.must_read()["processes"].items():
                if mib := processes.memory_mib(record["pid"]):
                    self.memory.setdefault(name, []).append((record["pid"], mib))


def _versions(client: Any, name: str, table: Table) -> Versions:
    keys = [attribute for attribute, _ in table.key]
    names = {f"#{n}": attribute for n, attribute in enumerate([*keys, "version"])}
    pages = client.get_paginator("scan").paginate(
        TableName=name, ConsistentRead=True, ProjectionExpression=", ".join(names),
        ExpressionAttributeNames=names,
    )  # fmt: skip
    for page in pages:
        for item in page["Items"]:
            key = " ".join(next(iter(item[attribute].values())) for attribute in keys)
            yield f"{table.id} {key}", int(item["version"]["N"])
