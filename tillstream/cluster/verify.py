"""Verifies a savepoint: restores it in a scratch cluster of its own, far from everything in use."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tillstream.clients.kafka import APPEND_TIME
from tillstream.clients.storage import copy, open_storage
from tillstream.clients.wait import NotInTime, wait_until
from tillstream.cluster.local import LocalCluster
from tillstream.cluster.manifest import FORMAT, Manifest, Verified, code_version
from tillstream.cluster.protocol import Checkpoint, Cluster, JobError, Say
from tillstream.cluster.savepoints import Savepoints
from tillstream.conf import Conf
from tillstream.errors import Problem
from tillstream.history import settle as history
from tillstream.local.stack import Stack

CHECKPOINT_TIMEOUT_S = 180.0


class NotNow(Problem):
    """Nothing is wrong with the savepoint, but it cannot be verified yet."""


def verify(
    manifest: Manifest,
    savepoints: Savepoints,
    job_file: Path | None,
    progress: Say,
) -> Verified:
    """Copies the savepoint to the scratch cluster's disk, restores today's job from it, and waits for
    a checkpoint of it. Of the deployment the savepoint is read, and the history files that it names as
    just finished (without them a restore fails); nothing is written.

    The scratch job reads empty streams: its positions are restored but lead nowhere, its keyed state is all
    there.
    """
    at_ms = time.time_ns() // 1_000_000
    parent, _, folder = manifest.location.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="tillstream-verify-") as home:
        copied = Path(home) / "savepoint"
        progress("copying the savepoint")
        copy(open_storage(parent, savepoints.conf), folder, copied)
        stack = Stack(home)
        try:
            progress("starting a scratch cluster")
            stack.up(taskmanagers=manifest.parallelism or 1)
            _partitions(stack, manifest)
            problem = _history(stack, savepoints, manifest)
            if not problem:
                kind = _read_from(manifest, savepoints.conf)
                return _restore(stack, manifest, copied, job_file, kind, at_ms, progress)
        except JobError as error:
            problem = str(error)
        finally:
            stack.down()
    return Verified(at_ms, code_version(), problem=problem)


def _read_from(manifest: Manifest, conf: Conf) -> str:
    """The kind of the tills' stream that the state has its places in, whatever the settings say of now: the
    job may have been submitted with others."""
    if manifest.format < FORMAT:  # a place in Kinesis is of a source that is no more
        return "kafka"
    if f"kafka:{conf.source.kafka.topic}" in manifest.positions:
        return "kafka"
    of_kinesis = any(stream.startswith("kinesis:") for stream in manifest.positions)
    return "kinesis" if of_kinesis else conf.source.kind


def _history(stack: Stack, savepoints: Savepoints, manifest: Manifest) -> str:
    """Copies the history files that the savepoint names into the scratch stack's S3.

    Returns why no restore can find them, "" if it can. Raises NotNow, and Unreachable or StorageError
    where it cannot be known.
    """
    named = savepoints.files_named(manifest)
    gone, unfinished = history.lacking(savepoints.conf, named)
    if unfinished:
        raise NotNow(
            f"{len(unfinished)} history files that it names are not finished yet: the job's next "
            "checkpoint finishes them, or its restore. Verify again after that"
        )
    if gone:
        return (
            f"{len(gone)} history files that it names are gone, so no restore finds them: {gone[0]}"
        )
    for bucket in {bucket for bucket, _ in named}:
        theirs = open_storage(f"s3://{bucket}", savepoints.conf)
        ours = open_storage(f"s3://{bucket}", stack.conf())
        for key in (key for at, key in named if at == bucket):
            raw = theirs.read(key)
            if raw is None:
                return f"the history file {key} is gone, so no restore finds it"
            ours.write(key, raw)
    return ""


def _restore(
    stack: Stack,
    manifest: Manifest,
    copied: Path,
    job_file: Path | None,
    kind: str,
    at_ms: int,
    progress: Say,
) -> Verified:
    cluster = LocalCluster(stack)
    progress("restoring")
    began = time.monotonic()
    source = {"source": {"kind": kind}}
    try:
        job_id = cluster.submit(
            manifest.job,
            manifest.parallelism or 1,
            source,
            start_from=str(copied),
            job_file=job_file,
            timeout_s=300.0,
            accept_loss=True,  # its streams are empty
            counted_again=True,  # so nothing is
        )
    except NotInTime as error:  # it was tried, and does not run: that is no pass
        raise JobError(str(error)) from None
    restored = time.monotonic() - began
    progress("waiting for a checkpoint of what was restored")
    done = _first_checkpoint(cluster, job_id)
    return Verified(
        at_ms,
        code_version(),
        restore_s=round(restored, 1),
        checkpoint_s=round(done.duration_ms / 1000, 2),
        state_bytes=done.state_bytes,
    )


def _first_checkpoint(cluster: Cluster, job_id: str) -> Checkpoint:
    try:
        return wait_until(
            lambda: cluster.checkpoints(job_id).last, CHECKPOINT_TIMEOUT_S, "", every_s=0.3
        )
    except NotInTime:
        failures = cluster.exceptions(job_id)
        raise JobError(
            f"no checkpoint after the restore; failures: {failures[:1] or 'none'}"
        ) from None


def _partitions(stack: Stack, manifest: Manifest) -> None:
    """As many partitions as the savepoint has positions for: a missing one is not to be read."""
    from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

    conf = stack.conf()
    client = AdminClient({"bootstrap.servers": conf.kafka.bootstrap or ""})
    there = client.list_topics(timeout=10).topics
    for stream, places in manifest.positions.items():
        kind, _, topic = stream.partition(":")
        if kind != "kafka":
            continue
        wanted = max(map(int, places)) + 1
        if topic not in there:
            made = client.create_topics([NewTopic(topic, wanted, 1, config=APPEND_TIME)])
        elif len(there[topic].partitions) < wanted:
            made = client.create_partitions([NewPartitions(topic, wanted)])
        else:
            continue
        for future in made.values():
            future.result(20)
