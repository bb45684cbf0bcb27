"""Replay: a job goes back to a savepoint, reads again what came after it, and goes on live.

Where the stream still holds all that follows the savepoint, the job is restored and reads on. Where
it does not, the job first reads a topic filled out of the archive, is stopped with a savepoint, and
goes on in the stream where the archive's records end. docs/runbooks/replay.md: why there is no seam.

A source's positions are kept under its uid. While a job reads anything but the stream from the
savepoint's own positions, its source has another uid, so that the one's positions are never taken for
the other's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from tillstream import catalog
from tillstream import conf as settings
from tillstream.cli.times import shown
from tillstream.clients.flink import TERMINAL, FlinkRestError
from tillstream.cluster.jobs import JobError, Jobs
from tillstream.cluster.manifest import Manifest
from tillstream.cluster.savepoints import Savepoints
from tillstream.history import settle as history
from tillstream.replay import stream_reach
from tillstream.replay.archive import Archive
from tillstream.replay.plan import Plan, Plans
from tillstream.replay.stream_reach import SLACK_MS, Gap
from tillstream.replay.watch import Progress, Watch

POLL_S = 1.0
CHECKPOINT_TIMEOUT_S = 180.0


class ReplayError(JobError):
    """The replay cannot begin or go on; the message says what to do."""


class Replay:
    """One job's replay on one cluster. ``say`` gets a line for each step."""

    def __init__(self, jobs: Jobs, conf: settings.Conf, say: Callable[[str], None]) -> None:
        self.jobs, self.conf, self.say = jobs, conf, say
        self.savepoints = Savepoints(jobs, conf)
        self.plans = Plans(jobs.layout.root / "replays")
        self.archive = Archive(conf, say)

    # -- begin -------------------------------------------------------------------------------------

    def begin(
        self,
        job: str,
        found: Manifest,
        overrides: dict[str, Any],
        parallelism: int | None = None,
        until_ms: int | None = None,
        accept_loss: bool = False,
    ) -> Plan:
        """Stops the job if it runs, decides where the gap is read from, and submits."""
        if catalog.job(job).sums:
            raise ReplayError(
                f"{job} cannot be replayed: what it adds up would be counted twice. `tillstream job "
                f"restore {job}` goes on from its last checkpoint; a window it has missed can be added "
                "up from the archive"
            )
        self._history_is_there(found)
        if not accept_loss:
            self._other_topics_reach(found)
        found = self._with_true_positions(found)
        gap = stream_reach.gap(found, self.conf, stream_reach.reach(self.conf))
        if gap and not accept_loss:
            self.archive.must_reach(job, gap)
        if self.jobs.flink.running(job):
            self.say(f"stopping {job} with a savepoint, to go back to should this replay be wrong")
            self.say(f"  {self.savepoints.stop(job).location}")
        time.sleep(1.1)  # S3 dates files by the second: the run before shares none with this one
        boundary_ms = history.s3_now_ms(self.conf)
        plan = Plan(
            job=job,
            replay_id=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(boundary_ms / 1000)),
            savepoint=found.location,
            start_from=found.location,
            taken_at_ms=found.taken_at_ms,
            boundary_ms=boundary_ms,
            overrides=overrides,
            parallelism=parallelism or found.parallelism or None,
            until_ms=until_ms,
            begun=stream_reach.positions_of(found, self.conf.source.kafka.topic),
        )
        if gap and accept_loss:
            self.say("what the stream no longer holds is left out, as --accept-loss says")
            gap = Gap()
            if self.conf.source.kind == "kinesis":  # a position that is gone cannot be read from
                self._plan_fill(plan, gap)
        elif gap:
            self._plan_fill(plan, gap)
        elif until_ms is not None or found.until_ms is not None:
            plan.drops, plan.begins = True, self._where_state_ends(plan, found)
        self.plans.save(plan)
        self._submit(plan)
        return plan

    def _history_is_there(self, found: Manifest) -> None:
        gone, _ = history.lacking(self.conf, self.savepoints.files_named(found))
        if gone:
            raise ReplayError(
                f"{len(gone)} history files that this savepoint names as just finished are gone, so "
                f"it cannot be restored: {gone[0]}. Put them back, or take another savepoint"
            )

    def _other_topics_reach(self, found: Manifest) -> None:
        """What the job reads besides till transactions is in no archive."""
        source = self.conf.source.kafka.topic
        for stream in found.positions:
            kind, _, topic = stream.partition(":")
            if kind != "kafka" or topic == source or topic.startswith("replay-"):
                continue
            begun = stream_reach.positions_of(found, topic)
            for number, (low, _) in stream_reach.watermarks(
                self.conf, topic, self.conf.kafka.bootstrap
            ).items():
                if low > begun.get(number, low):
                    raise ReplayError(
                        f"partition {number} of {topic} begins at {low:,}, the savepoint had read up "
                        f"to {begun[number]:,}: what lies between is kept nowhere. Take a newer "
                        "savepoint, or --accept-loss"
                    )

    def _with_true_positions(self, found: Manifest) -> Manifest:
        """Positions of a savepoint that left out what arrived after a moment lie behind its state:
        what follows the state begins at that moment."""
        if found.until_ms is None:
            return found
        places: dict[str, str] = {}
        if self.conf.source.kind == "kafka":
            source = self.conf.source.kafka
            ends = stream_reach.watermarks(self.conf, source.topic, source.bootstrap)
            for number, at in stream_reach.offsets_at(self.conf, found.until_ms).items():
                places[str(number)] = str(at if at >= 0 else ends[number][1])
        stream = f"kafka:{self.conf.source.kafka.topic}"
        return msgspec.structs.replace(
            found, taken_at_ms=found.until_ms, positions={stream: places}
        )

    def _where_state_ends(self, plan: Plan, found: Manifest) -> dict[str, Any]:
        if self.conf.source.kind == "kafka" and plan.begun and found.until_ms is None:
            return {"kafka": {"offsets": {str(n): at for n, at in plan.begun.items()}}}
        slack = 0 if found.until_ms is not None else SLACK_MS
        return {"start_ms": found.taken_at_ms - slack}

    def _plan_fill(self, plan: Plan, gap: Gap) -> None:
        plan.phase, plan.round, plan.gap = "fill", plan.round + 1, gap
        plan.topic = f"replay-{plan.job}-{plan.replay_id}-{plan.round}".lower()

    # -- on ----------------------------------------------------------------------------------------

    def _source(self, plan: Plan) -> dict[str, Any]:
        """Settings of the source in the plan's phase."""
        source = dict(plan.begins)
        uid = self.conf.source.uid
        if plan.phase == "archive":
            source = self.archive.source(plan.topic) | {"uid": f"{uid}-{plan.topic}"}
        elif plan.until_ms is not None:
            source["uid"] = f"{uid}-until-{plan.replay_id}".lower()
        if plan.until_ms is not None:
            source["until_ms"] = plan.until_ms
        return {"source": source} if source else {}

    def _pace(self) -> dict[str, Any]:
        return {"job": {"checkpoint_interval_ms": self.conf.job.replay_checkpoint_interval_ms}}

    def _submit(self, plan: Plan, checkpoint: str | None = None) -> None:
        """Submits what the phase asks for, from ``start_from`` or a ``checkpoint`` of the same."""
        if plan.phase == "fill":
            plan.filled = self.archive.fill(plan.topic, plan.gap, plan.taken_at_ms)
            plan.phase, plan.drops = "archive", True
            self.plans.save(plan)
        if checkpoint:
            # Should this run die before its first checkpoint, the next one begins here as well.
            plan.start_from, plan.drops = checkpoint, False
        plan.job_id = self.jobs.submit(
            plan.job,
            plan.parallelism,
            settings.merge(self._pace(), settings.merge(plan.overrides, self._source(plan))),
            plan.start_from,
            progress=self.say,
            allow_dropped_state=plan.drops,
        )
        self.plans.save(plan)

    def resume(self, plan: Plan) -> None:
        """Takes a replay up again after an interruption or a crash of the cluster."""
        if self.jobs.flink.running(plan.job):
            return
        checkpoints = self.jobs.checkpoints_of(plan.job_id) if plan.job_id else []
        if plan.phase == "fill" or not checkpoints:
            self._submit(plan)
            return
        self.say(f"{plan.job} is not running: restoring its last checkpoint")
        self._submit(plan, checkpoints[-1].as_uri())

    def _to_live(self, plan: Plan) -> None:
        """All of the topic is in the state: stop, and read the stream from where it ends."""
        plan.start_from = self.savepoints.stop(plan.job).location
        more = self.archive.lost_meanwhile(plan.gap)
        done_with = plan.topic
        if more:
            self.archive.must_reach(plan.job, more)
            plan.begun |= {number: end for number, (_, end) in plan.gap.offsets.items()}
            self._plan_fill(plan, more)
        else:
            plan.phase, plan.drops = "live", True
            plan.begins = self.archive.continues(plan.gap, plan.begun)
        self.plans.save(plan)
        self._submit(plan)
        self.archive.drop_topic(done_with)

    def follow(self, plan: Plan, show: Callable[[Progress], None]) -> None:
        """Until the job is up to date, or has read up to ``until_ms``; then settles the history.

        Raises ReplayError when the job ends; the plan stays, and can be resumed.
        """
        watch = Watch(self.jobs.flink, plan.job_id)
        twice = 0
        while True:
            progress = self._look(plan, watch)
            show(progress)
            if progress.state in TERMINAL:
                raise self._ended(plan, progress.state.lower())
            if plan.phase == "archive":
                if self.archive.drained(plan.topic, plan.job):
                    self.say("all that came out of the archive is read: on to the stream")
                    self._to_live(plan)
                    watch = Watch(self.jobs.flink, plan.job_id)
            elif self._there(plan, progress):
                twice += 1
                if twice == 2:  # one look may have been at figures of a moment ago
                    break
            else:
                twice = 0
            time.sleep(POLL_S)
        self._finish(plan)

    def _look(self, plan: Plan, watch: Watch) -> Progress:
        for _ in range(10):
            try:
                return watch.look()
            except FlinkRestError:
                time.sleep(POLL_S)
        raise self._ended(plan, "not to be seen")

    def _ended(self, plan: Plan, how: str) -> ReplayError:
        return ReplayError(
            f"{plan.job} is {how}: see `tillstream status`; `tillstream replay --job {plan.job} "
            "--resume` takes the replay up again"
        )

    def _there(self, plan: Plan, progress: Progress) -> bool:
        """Before the first checkpoint a source's figures may be of before it began."""
        if not self.jobs.flink.completed_checkpoints(plan.job_id):
            return False
        unknown = progress.waiting is None and progress.behind_ms is None
        if plan.until_ms is None and unknown and self.conf.source.kind == "kafka":
            # A source that was restored at the stream's end has no figures until something comes.
            return self._read_to(plan.job, {})
        if plan.until_ms is None or progress.waiting == 0:
            return progress.caught_up
        if self.conf.source.kind == "kinesis":
            age_ms = time.time_ns() // 1_000_000 - plan.until_ms
            return progress.behind_ms is not None and progress.behind_ms < age_ms
        return self._read_to(plan.job, stream_reach.offsets_at(self.conf, plan.until_ms))

    def _read_to(self, job: str, wanted: dict[int, int]) -> bool:
        """Whether the newest checkpoint lies at or beyond ``wanted``: partition -> offset; -1 or not
        named: the partition's end."""
        source = self.conf.source.kafka
        group = self.conf.own_name(job)
        read = stream_reach.committed(self.conf, source.topic, source.bootstrap, group)
        ends = stream_reach.watermarks(self.conf, source.topic, source.bootstrap)
        for number, (_, end) in ends.items():
            at = wanted.get(number, -1)
            if read.get(number, 0) < (at if at >= 0 else end):
                return False
        return True

    def _finish(self, plan: Plan) -> None:
        if plan.until_ms is not None:
            found = self.savepoints.stop(plan.job, plan.until_ms)
            self.say(f"stopped as of {shown(plan.until_ms)}: {found.location}")
        else:
            self._checkpoint(plan.job_id)
        settled = history.settle(
            self.conf, plan.job, plan.taken_at_ms, plan.boundary_ms, plan.replay_id
        )
        self.savepoints.supersede(plan.job, plan.taken_at_ms, plan.boundary_ms, plan.replay_id)
        if settled.files:
            self.say(
                f"history: {settled.rows:,} rows were written again; their {settled.files:,} old "
                f"files are under {history.ASIDE}/{plan.replay_id}"
            )
        plan.phase = "done"
        self.plans.save(plan)

    def _checkpoint(self, job_id: str) -> None:
        """Begun now, when the job is up to date: what it has read until here is in files after it."""
        deadline = time.monotonic() + CHECKPOINT_TIMEOUT_S
        while True:
            try:
                return self.jobs.flink.checkpoint(job_id)
            except FlinkRestError as error:
                if time.monotonic() > deadline:
                    raise ReplayError(f"no checkpoint of {job_id}: {error}") from None
                time.sleep(POLL_S)
