"""Replay: a job goes back to a savepoint, reads again what came after it, and goes on live.

Where the stream still holds all that follows the savepoint, the job is restored and reads on. Where
it does not, the job first reads a topic filled out of the archive, is stopped with a savepoint, and
goes on in the stream where the archive's records end. docs/runbooks/replay.md: why there is no seam.

A source's positions are kept under its uid. While a job reads anything but the stream from the
savepoint's own positions, its source has another uid, so that the one's positions are never taken for
the other's.

Read on from top to bottom: the order of the methods is the order of a replay. Each step returns the
next phase, which is on disk before anything of it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from tillstream import catalog
from tillstream import conf as settings
from tillstream.cli.times import shown
from tillstream.clients.storage import open_storage
from tillstream.clients.wait import wait_until
from tillstream.cluster.manifest import Manifest
from tillstream.cluster.protocol import ENDED, Cluster
from tillstream.cluster.savepoints import Savepoints
from tillstream.errors import Problem, Unreachable
from tillstream.history import settle as history
from tillstream.replay import checks, stream_reach
from tillstream.replay.archive import Archive
from tillstream.replay.coverage import Missing
from tillstream.replay.phases import (
    Done,
    Filling,
    Live,
    Origin,
    Phase,
    Phases,
    Reading,
    ReplayError,
    Start,
    Submitted,
)
from tillstream.replay.stream_reach import Gap
from tillstream.replay.watch import Progress, Watch

POLL_S = 1.0
LOOKS = 10  # how often the cluster may not answer, one after the other
CHECKPOINT_TIMEOUT_S = 180.0

Show = Callable[[Progress], None]
P = TypeVar("P", bound=Phase)


class Replay:
    """One job's replay on one cluster. conf: as that job goes by it. ``say`` gets a line for each step."""

    def __init__(self, cluster: Cluster, conf: settings.Conf, say: Callable[[str], None]) -> None:
        self.cluster, self.conf, self.say = cluster, conf, say
        self.savepoints = Savepoints(cluster, conf)
        self.phases = Phases(open_storage(f"{cluster.notes_at}/replays", conf))
        self.archive = Archive(conf, say)

    # -- where it begins: at the start, or where it was interrupted ---------------------------------------

    def begin(
        self,
        job: str,
        found: Manifest,
        overrides: dict[str, Any],
        parallelism: int | None = None,
        until_ms: int | None = None,
        accept_loss: bool = False,
    ) -> Phase:
        """Stops the job if it runs, decides where the gap is read from, and submits."""
        checks.can_be_replayed(job)
        checks.is_of_the_history(found)
        named = self.savepoints.files_named(found)
        checks.history_is_there(self.conf, named)
        if not accept_loss:
            checks.other_topics_reach(self.conf, job, found)
        found = checks.with_true_positions(self.conf, found, accept_loss)
        held = stream_reach.reach(self.conf)
        begun = checks.where_it_goes_on(self.conf, found, held, accept_loss)
        gap = stream_reach.gap(found, self.conf, held, begun)
        lost = self.archive.must_reach(job, gap, accept_loss) if gap else {}
        if self.cluster.running(job):
            self.say(f"stopping {job} with a savepoint, to go back to should this replay be wrong")
            self.say(f"  {self.savepoints.stop(job).location}")
        time.sleep(1.1)  # S3 dates files by the second: the run before shares none with this one
        boundary_ms = history.s3_now_ms(self.conf)
        origin = Origin(
            job=job,
            replay_id=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(boundary_ms / 1000)),
            savepoint=found.location,
            taken_at_ms=found.taken_at_ms,
            boundary_ms=boundary_ms,
            overrides=overrides,
            parallelism=parallelism or found.parallelism or None,
            until_ms=until_ms,
            accept_loss=accept_loss,
            history_ms=found.history_ms,
            named=[key for _, key in named],
        )
        return self.start(self._keep(self._first(origin, found, gap, begun, lost)))

    def _first(
        self, origin: Origin, found: Manifest, gap: Gap, begun: dict[int, int], lost: Missing
    ) -> Phase:
        kafka = self.conf.source.kind == "kafka"
        if gap and (self.archive.can_help(origin.job) or not kafka):
            # Of Kinesis a position that is gone cannot be read from, so the job takes leave of it.
            gap = gap if self.archive.can_help(origin.job) else Gap()
            state = found.location
            return Filling(origin=origin, gap=gap, begun=begun, state=state, lost=lost)
        if origin.until_ms is None and found.until_ms is None:
            # A source of 0.1.0, of which there is none any more, has its position in a savepoint too.
            return Live(origin=origin, start=Start(found.location, drops=kafka and not begun))
        begins = checks.where_state_ends(self.conf, found, begun | gap.ends)
        return Live(origin=origin, start=Start(found.location, drops=True), begins=begins)

    def resume(self, phase: Phase) -> Phase:
        """Takes a replay up again after an interruption or a crash of the cluster."""
        if not isinstance(phase, Reading | Live):
            return self.start(phase)
        job = phase.origin.job
        if run := self.cluster.running(job):
            # Without an id it was submitted as the interruption came, or never.
            ours = phase.job_id == run.job_id or (
                not phase.job_id
                and self.cluster.started_from(run.job_id)
                == self.cluster.locate(job, phase.start.state)
            )
            if not ours:
                raise ReplayError(
                    f"another run of {job} ({run.job_id}) than the replay's is running: "
                    f"`tillstream job cancel {job}`, then --resume"
                )
            return self._keep(msgspec.structs.replace(phase, job_id=run.job_id))
        if phase.job_id and (last := self.cluster.last_checkpoint(phase.job_id)):
            self.say(f"{job} is not running: restoring its last checkpoint")
            phase = msgspec.structs.replace(phase, start=Start(last))
        return self.start(msgspec.structs.replace(phase, job_id=""))

    def start(self, phase: Phase) -> Phase:
        """Until the phase's job is submitted."""
        while isinstance(phase, Filling) or (
            isinstance(phase, Reading | Live) and not phase.job_id
        ):
            phase = self.advance(phase)
        return phase

    def follow(self, phase: Phase, show: Show) -> Done:
        """Until the job is up to date, or has read up to ``until_ms``, and its history is settled.

        Raises ReplayError when the job ends; the phase stays, and can be resumed.
        """
        while not isinstance(phase, Done):
            phase = self.advance(phase, show)
        return phase

    # -- the steps ---------------------------------------------------------------------------------

    def advance(self, phase: Phase, show: Show = lambda progress: None) -> Phase:
        """One step: does what the phase is for, and returns the next one."""
        match phase:
            case Filling():
                return self._fill(phase)
            case Reading(job_id="") | Live(job_id=""):
                return self._submit(phase)
            case Reading():
                return self._read(phase, show)
            case Live():
                return self._catch_up(phase, show)
            case Done():
                return phase

    def _fill(self, phase: Filling) -> Reading:
        self.archive.fill(phase.topic, phase.gap, phase.lost)
        return self._keep(
            Reading(
                origin=phase.origin,
                gap=phase.gap,
                begun=phase.begun,
                round=phase.round,
                start=Start(phase.state, drops=True),
            )
        )

    def _submit(self, phase: Submitted) -> Submitted:
        pace = {"job": {"checkpoint_interval_ms": self.conf.job.replay_checkpoint_interval_ms}}
        changed = settings.merge(phase.origin.overrides, self._source(phase))
        job_id = self.cluster.submit(
            phase.origin.job,
            phase.origin.parallelism,
            settings.merge(pace, changed),
            phase.start.state,
            progress=self.say,
            allow_dropped_state=phase.start.drops,
            accept_loss=phase.origin.accept_loss,
        )
        return self._keep(msgspec.structs.replace(phase, job_id=job_id))

    def _source(self, phase: Submitted) -> dict[str, Any]:
        """Settings of the source in that phase."""
        origin, uid = phase.origin, self.conf.source.uid
        entry = catalog.find(origin.job)
        section = entry.source if entry else "source"
        if isinstance(phase, Reading):
            source = self.archive.source(phase.topic, section) | {"uid": f"{uid}-{phase.topic}"}
        else:
            source = dict(phase.begins)
            if origin.until_ms is not None:
                source["uid"] = f"{uid}-until-{origin.replay_id}".lower()
        if origin.until_ms is not None:
            source["until_ms"] = origin.until_ms
        return {section: source} if source else {}

    def _read(self, phase: Reading, show: Show) -> Filling | Live:
        self._watch(phase, show, lambda _: self.archive.drained(phase.topic, phase.origin.job))
        self.say("all that came out of the archive is read: on to the stream")
        return self._leave(phase)

    def _leave(self, phase: Reading) -> Filling | Live:
        """All of the topic is in the state: stop, and read the stream from where it ends."""
        more = self.archive.lost_meanwhile(phase.gap, phase.begun)
        lost = {}
        if more:  # while the job runs: should the archive lack it, nothing has changed
            lost = self.archive.must_reach(phase.origin.job, more, phase.origin.accept_loss)
        state = self.savepoints.stop(phase.origin.job).location
        following: Filling | Live
        if more:
            following = Filling(
                origin=phase.origin,
                lost=lost,
                gap=more,
                begun=phase.begun | phase.gap.ends,
                round=phase.round + 1,
                state=state,
            )
        else:
            begins = self.archive.continues(phase.gap, phase.begun)
            start = Start(state, drops=True)
            following = Live(origin=phase.origin, start=start, begins=begins)
        return self._keep(following)

    def _catch_up(self, phase: Live, show: Show) -> Done:
        there = 0

        def twice(progress: Progress) -> bool:
            nonlocal there  # one look may have been at figures of a moment ago
            there = there + 1 if self.is_there(phase, progress) else 0
            return there == 2

        self._watch(phase, show, twice)
        return self._finish(phase)

    def is_there(self, phase: Live, progress: Progress) -> bool:
        """Whether the job is up to date. Before the first checkpoint a source's figures may be of before
        it began."""
        if not self.cluster.checkpoints(phase.job_id).completed:
            return False
        job, until_ms = phase.origin.job, phase.origin.until_ms
        unknown = progress.waiting is None and progress.behind_ms is None
        if until_ms is None and unknown and self.conf.source.kind == "kafka":
            # A source that was restored at the stream's end has no figures until something comes.
            return stream_reach.read_to(self.conf, job, {})
        if until_ms is None or progress.waiting == 0:
            return progress.caught_up
        if self.conf.source.kind == "kinesis":
            age_ms = time.time_ns() // 1_000_000 - until_ms
            return progress.behind_ms is not None and progress.behind_ms < age_ms
        return stream_reach.read_to(self.conf, job, stream_reach.offsets_at(self.conf, until_ms))

    def _finish(self, phase: Live) -> Done:
        origin = phase.origin
        if origin.until_ms is not None:
            found = self.savepoints.stop(origin.job, origin.until_ms)
            self.say(f"stopped as of {shown(origin.until_ms)}: {found.location}")
        else:
            self._checkpoint(phase.job_id)
        # Of what was lost, the rows of the run before are all there is.
        span = history.Span(
            origin.taken_at_ms,
            origin.boundary_ms,
            origin.history_ms,
            frozenset(origin.named),
            whole=not origin.accept_loss,
        )
        settled = history.settle(self.conf, origin.job, span, origin.replay_id, self.say)
        self.savepoints.supersede(
            origin.job, origin.taken_at_ms, origin.boundary_ms, origin.replay_id
        )
        if self.conf.kafka.bootstrap:
            self.archive.drop_topics(origin.topics)
        if settled.files:
            self.say(
                f"history: {settled.rows:,} rows of before are replaced; their {settled.files:,} "
                f"files are under {history.ASIDE}/{origin.replay_id}"
            )
        return self._keep(Done(origin=origin))

    # -- what the steps share ------------------------------------------------------------------------

    def _keep(self, phase: P) -> P:
        self.phases.save(phase)
        return phase

    def _watch(self, phase: Submitted, show: Show, over: Callable[[Progress], bool]) -> None:
        """Looks each second until it is over. Raises ReplayError when the job has ended."""
        watch = Watch(self.cluster, phase.job_id)
        while True:
            progress = self._look(phase.origin.job, watch)
            show(progress)
            if progress.state in ENDED:
                raise _ended(phase.origin.job, progress.state.lower())
            if over(progress):
                return
            time.sleep(POLL_S)

    def _look(self, job: str, watch: Watch) -> Progress:
        for _ in range(LOOKS):
            try:
                return watch.look()
            except Unreachable:
                time.sleep(POLL_S)
        raise _ended(job, "not to be seen")

    def _checkpoint(self, job_id: str) -> None:
        """Begun now, when the job is up to date: what it has read until here is in files after it."""
        said = "nothing"

        def complete() -> bool:
            nonlocal said
            try:
                self.cluster.checkpoint(job_id)
                return True
            except Problem as error:
                said = str(error)
                return False

        wait_until(
            complete, CHECKPOINT_TIMEOUT_S, lambda: f"no checkpoint of {job_id}: {said}", POLL_S
        )


def _ended(job: str, how: str) -> ReplayError:
    return ReplayError(
        f"{job} is {how}: see `tillstream status`; `tillstream replay --job {job} --resume` takes the "
        "replay up again"
    )
