"""Savepoints of one cluster's jobs: taken with a manifest, listed, pruned by policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import KafkaException

from tillstream import catalog
from tillstream.clients.storage import Storage, open_bucket, open_storage
from tillstream.cluster import manifest as manifests
from tillstream.cluster import restoring
from tillstream.cluster.manifest import FILE, Manifest
from tillstream.cluster.protocol import Cluster, JobError, TakenSavepoint
from tillstream.cluster.retention import at_or_before, expired
from tillstream.conf import Conf
from tillstream.errors import Problem

SCANNED_BYTES = 2_000_000  # a source's positions are small: larger files are keyed state


class SavepointError(JobError):
    """The savepoint cannot be used; the message says why and what to do."""


class Savepoints:
    """What is kept where the cluster puts it, a folder a job."""

    def __init__(self, cluster: Cluster, conf: Conf) -> None:
        self.cluster, self.conf = cluster, conf
        self.root = cluster.savepoints_at

    def storage(self, job: str = "") -> Storage:
        """Where the savepoints of ``job`` are, or of all jobs."""
        return open_storage(f"{self.root}/{job}".rstrip("/"), self.conf)

    def take(self, job: str) -> Manifest:
        """A savepoint of the running ``job``, which runs on."""
        return self._describe(self.cluster.savepoint(job))

    def stop(self, job: str, until_ms: int | None = None) -> Manifest:
        """Stops the job with a savepoint. ``until_ms``: what the job was told to leave out after."""
        return self._describe(self.cluster.stop(job), until_ms)

    def _describe(self, taken: TakenSavepoint, until_ms: int | None = None) -> Manifest:
        """Writes the manifest of a savepoint that was just taken."""
        history_ms = 0
        conf = self.conf.of(catalog.find(taken.run.name))
        # What a replay would like to know is no reason to have no savepoint.
        with suppress(Problem, KafkaException, BotoCoreError, ClientError):
            history_ms = open_bucket(self.conf).now_ms() + 1_000  # it tells whole seconds
        storage = open_storage(taken.location, self.conf)
        files = {file.name: file.bytes for file in storage.files()}
        if "_metadata" not in files:
            raise SavepointError(f"Flink says it left {taken.location}, and nothing is there")
        found = Manifest(
            job=taken.run.name,
            job_id=taken.run.job_id,
            location=storage.root,
            taken_at_ms=taken.triggered_ms,
            completed_at_ms=taken.completed_ms,
            size_bytes=sum(files.values()),
            code_version=manifests.code_version(),
            flink_version=taken.flink_version,
            parallelism=taken.run.parallelism,
            state_schemas=manifests.schema_versions(taken.run.name),
            positions=_positions(storage, files, conf)[0],
            history_ms=history_ms,
            until_ms=until_ms,
            format=manifests.FORMAT,
        )
        with suppress(Problem, KafkaException, BotoCoreError, ClientError):
            found.read_to_ms = restoring.read_to_ms(conf, found.positions, taken.completed_ms)
        storage.write(FILE, manifests.encode(found))
        return found

    def files_named(self, manifest: Manifest) -> list[tuple[str, str]]:
        """``files_named`` of the savepoint."""
        return files_named(manifest.location, self.conf)

    def named_without_manifest(self) -> set[tuple[str, str]]:
        """``files_named`` of all savepoints that nobody described. Raises SavepointError for one whose
        manifest is there and of no use: a replay from it may need more, and from when is not known."""
        named: set[tuple[str, str]] = set()
        for location in self.without_manifest():
            storage = open_storage(location, self.conf)
            if storage.read("_metadata") is None:
                continue  # cut short: it cannot be restored
            if storage.read(FILE) is not None:
                raise SavepointError(
                    f"{location}/{FILE} cannot be read or is another job's, so which files that savepoint "
                    f"needs is not known: put {FILE} back from a copy, or delete that folder if nobody "
                    "will go back to it"
                )
            named.update(files_named(location, self.conf))
        return named

    def supersede(self, job: str, after_ms: int, before_ms: int, replay_id: str) -> None:
        """Marks what was taken in between as of a history that the replay has replaced."""
        for one in self.kept(job):
            if after_ms < one.taken_at_ms < before_ms and not one.superseded_by:
                one.superseded_by = replay_id
                self.note(one)

    def kept(self, job: str | None = None) -> list[Manifest]:
        """Every savepoint with a manifest, newest first."""
        found = [one for one in self._all(job) if isinstance(one, Manifest)]
        return sorted(found, key=lambda one: one.taken_at_ms, reverse=True)

    def without_manifest(self, job: str | None = None) -> list[str]:
        """Locations of savepoints nobody described, as Flink's own client leaves them, or whose manifest
        cannot be read or is another job's."""
        return [one for one in self._all(job) if isinstance(one, str)]

    def _all(self, job: str | None) -> Iterator[Manifest | str]:
        """Each savepoint as its manifest, or else its location. Where a manifest lies counts, not what it
        says of that: a copy of a folder must not lead to the original."""
        for name in [job] if job else self.storage().folders():
            storage = self.storage(name)
            for folder in storage.folders():
                location = f"{storage.root}/{folder}"
                try:
                    found = manifests.decode(storage.read(f"{folder}/{FILE}") or b"")
                except ValueError:
                    yield location
                    continue
                if found.job != name:
                    yield location
                elif storage.read(f"{folder}/_metadata") is not None:
                    found.location = location
                    yield found

    def find(self, job: str, wanted: str | int) -> Manifest:
        """The savepoint at a location (or of a folder's name), or the last one at or before a time
        (ms). Raises SavepointError."""
        kept = self.kept(job)
        if not kept:
            raise SavepointError(
                f"there is none of {job}: `tillstream savepoint take {job}` takes one"
            )
        if isinstance(wanted, int):
            found = at_or_before(kept, wanted)
            if found is None:
                raise SavepointError(
                    f"no savepoint of {job} is as old as that: `tillstream savepoint list` shows "
                    f"{len(kept)}; an older state cannot be had back"
                )
            return found
        for one in kept:
            if wanted.rstrip("/").removeprefix("file://") in (
                one.location.removeprefix("file://"),
                one.location.rpartition("/")[2],
            ):
                return one
        raise SavepointError(
            f"{wanted} is no savepoint of {job} with a manifest: `tillstream savepoint list {job}`"
        )

    def note(self, manifest: Manifest) -> None:
        """Writes a changed manifest back."""
        open_storage(manifest.location, self.conf).write(FILE, manifests.encode(manifest))

    def prune(
        self, job: str, now_ms: int, dry_run: bool, progress: Callable[[Manifest], None]
    ) -> int:
        """Deletes what the policy does not keep; returns how many."""
        policy = self.conf.savepoints
        gone = expired(self.kept(job), now_ms, policy.hourly_for_hours, policy.daily_for_days)
        for one in gone:
            progress(one)
            if not dry_run:
                self.cluster.discard(one.location)
                self.storage(job).remove(one.location.rpartition("/")[2])
        return len(gone)


def files_named(location: str, conf: Conf) -> list[tuple[str, str]]:
    """(bucket, key) of history files that a restore from there has to find, or it fails."""
    storage = open_storage(location, conf)
    named: set[tuple[str, str]] = set()
    for state in _small_parts(storage, {file.name: file.bytes for file in storage.files()}):
        named |= manifests.files_named(state)
    return sorted(named)


def standing(location: str, conf: Conf) -> restoring.Standing:
    """Where the savepoint or checkpoint there has its sources. Raises StorageError."""
    storage = open_storage(location, conf)
    files = {file.name: file for file in storage.files()}
    with suppress(ValueError):
        found = manifests.decode(storage.read(FILE) or b"")
        # After `replay --to` the source has another uid: nothing goes on at these.
        positions = found.positions if found.until_ms is None else {}
        old = found.format == manifests.FORMAT_OF_CONSUMER
        return restoring.Standing(positions, found.completed_at_ms, found.read_to_ms, old)
    sizes = {name: file.bytes for name, file in files.items()}
    written_ms = files["_metadata"].written_ms if "_metadata" in files else 0
    positions, old = _positions(storage, sizes, conf)
    return restoring.Standing(positions, written_ms, of_consumer=old)


def _positions(
    storage: Storage, files: dict[str, int], conf: Conf
) -> tuple[manifests.Positions, bool]:
    """And whether those in Kinesis are of Flink's consumer."""
    stream = conf.source.kinesis.stream
    parts, of_consumer = [], []
    for state in _small_parts(storage, files):
        parts.append(manifests.kafka_positions(state))
        parts.append(manifests.kinesis_positions(state, stream))
        of_consumer.append(manifests.consumer_positions(state, stream))
    ours, theirs = manifests.merged(parts), manifests.merged(of_consumer)
    old = bool(theirs) and f"kinesis:{stream}" not in ours
    return (manifests.merged([ours, theirs]) if old else ours), old


def _small_parts(storage: Storage, files: dict[str, int]) -> Iterator[bytes]:
    """Contents of the files that may hold the state of sources and sinks."""
    for name in sorted(files, key=lambda name: name != "_metadata"):
        if name == "_metadata" or files[name] <= SCANNED_BYTES:
            yield storage.read(name) or b""
