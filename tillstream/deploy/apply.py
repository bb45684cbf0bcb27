"""A deployment in steps. Each is noted before it is taken and can be taken again: it looks first what is
done already. So whoever finds an open journal goes on with it, whatever became of the one who wrote it.

The job is stopped with a snapshot, changed while it is stopped, and started from that snapshot by name: one
call for each, so that at no point it depends on what the service would do by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from tillstream import catalog
from tillstream.cli.times import shown
from tillstream.deploy import requests
from tillstream.deploy.figures import Health, Watch
from tillstream.deploy.journal import DONE, FAILED, HEALTHY, ROLLED_BACK, Entry, Journal
from tillstream.deploy.plan import CREATE, START, UPDATE, Config, Plan, can_read, config_of
from tillstream.deploy.release import Packed, Releases
from tillstream.deploy.runs import CANCELLED, STOPPED, Runs, rows_again, sums_again
from tillstream.deploy.service import START_S, STOP_S, Application, Busy, Service, ServiceError

RUNNING, READY = frozenset({"RUNNING"}), frozenset({"READY"})
# Step of an action -> what comes first; every step says what follows it.
UPLOAD, MAKE, TAKE, STOP, CHANGE, LAUNCH, WATCH = (
    "upload", "create", "snapshot", "stop", "change", "start", "watch"
)  # fmt: skip
HALT, CHANGE_BACK, LAUNCH_BACK, WATCH_BACK = "halt", "change back", "start back", "watch back"
BACK = frozenset({CHANGE_BACK, LAUNCH_BACK, WATCH_BACK})
AFTER_UPLOAD = {CREATE: MAKE, START: CHANGE, UPDATE: TAKE}


class NotHealthy(ServiceError):
    """A deployment that did not end as it was meant; the message says how it ended."""


class Deployer:
    """Deploys one job. ``healthy``: completed checkpoints and minutes that an update has."""

    def __init__(
        self,
        service: Service,
        journal: Journal,
        releases: Releases,
        watch: Watch,
        runs: Runs,
        healthy: tuple[int, int],
    ) -> None:
        self.service, self.journal, self.releases = service, journal, releases
        self.name, self.job, self.clock = runs.application, journal.job, service.clock
        self.runs = runs
        self.health = Health(service, watch, self.name, *healthy)
        self.packed: Packed | None = None
        found = catalog.find(self.job)
        self.sums = bool(found and found.sums)

    def begin(
        self,
        plan: Plan,
        wanted: Config,
        now: Application | None,
        restore_from: str | None = None,
        first: str = UPLOAD,
        goes_back: bool = False,
        from_before: bool = False,
        counted_again: bool = False,
    ) -> Entry:
        """Opens the journal with what ``plan`` says. ``restore_from``: for a job that does not run, or to go
        back to."""
        started = self.clock.now_ms()
        entry = Entry(
            id=f"{shown(started).translate(str.maketrans('', '', ' :-Z'))}-{self.journal.me[-6:]}",
            job=self.job,
            action=plan.action,
            started_ms=started,
            wanted=wanted,
            step=first,
            before=config_of(now) if now else None,
            ran=bool(now and now.runs),
            restore_from=restore_from,
            allow_dropped_state=bool(plan.dropped),
            drops=tuple(plan.dropped),
            version=now.version if now else 0,
            goes_back=goes_back,
            from_before=from_before,
            counted_again=counted_again,
            reads_back=now is not None and self._reads_back(config_of(now), wanted),
        )
        self.journal.open(entry)
        return entry

    def _reads_back(self, before: Config, wanted: Config) -> bool:
        old = self.releases.find(before.bucket, before.key)
        new = self.releases.find(wanted.bucket, wanted.key)
        if self.packed and self.packed.release.key == wanted.key:
            new = self.packed.release
        return bool(old and new and can_read(old.manifest, new.manifest))

    def run(self, entry: Entry) -> Entry:
        """Goes on with ``entry`` to its end. Raises NotHealthy if that is not the wanted one, and whatever
        the service or Ctrl-C raise: then the journal stays open."""
        steps: dict[str, Callable[[Entry], str]] = {
            UPLOAD: self.upload, MAKE: self.make, TAKE: self.take, STOP: self.stop, CHANGE: self.change,
            LAUNCH: self.launch, WATCH: self.look, HALT: self.halt, CHANGE_BACK: self.change_back,
            LAUNCH_BACK: self.launch_back, WATCH_BACK: self.look_back,
        }  # fmt: skip
        self.service.each_wait = self.journal.beat
        try:
            while entry.step != DONE:
                self.service.say(f"{self.job}: {entry.step}")
                try:
                    following = steps[entry.step](entry)
                except Busy:
                    # Perhaps of our own call, whose answer was lost and which was sent again.
                    self.service.pause()
                    following = steps[entry.step](entry)
                if following != DONE:
                    entry.step = following
                    self.journal.note(entry)
        finally:
            self.journal.leave()
        if entry.outcome != HEALTHY:
            raise NotHealthy(self._ending(entry))
        return entry

    def _ending(self, entry: Entry) -> str:
        why = f"{self.job} did not get healthy: {entry.problem}"
        look = f"`tillstream deploy logs {self.job}` has the cause"
        if entry.outcome == ROLLED_BACK:
            start = entry.newest or entry.left
            return f"{why}. It was rolled back and runs as before, from snapshot {start}. {look}"
        return f"{why}. {look}, `tillstream deploy status {self.job}` how it is"

    # -- forward ---------------------------------------------------------------------------------------

    def upload(self, entry: Entry) -> str:
        wanted = entry.wanted
        if self.releases.find(wanted.bucket, wanted.key) is None:
            if self.packed is None or self.packed.release.key != wanted.key:
                self._close(entry, FAILED, "its package is not here any more; nothing was changed")
                return DONE
            self.releases.upload(self.packed)
        return AFTER_UPLOAD[entry.action]

    def make(self, entry: Entry) -> str:
        found = self.service.find(self.name)
        if found is None:
            found = self.service.create(requests.create(self.name, entry.wanted))
        entry.version = found.version
        return LAUNCH

    def take(self, entry: Entry) -> str:
        if self._settled().runs:
            entry.taken = entry.taken or f"tillstream-{entry.id}"
            self.journal.note(entry)
            try:
                self.service.take(self.name, entry.taken)
            except Busy:
                raise
            except ServiceError as error:
                # Who goes back does so because the job is not well.
                if not entry.goes_back or self._would_count_again(entry):
                    self._close(entry, FAILED, error.message)
                    return DONE
                entry.taken = ""
        self._keep(entry)
        return STOP

    def stop(self, entry: Entry) -> str:
        now = self._settled()
        if now.runs:
            force = entry.goes_back and not entry.taken
            self.service.stop(self.name, force)
            now = self.service.wait(self.name, READY, STOP_S)
            if now.runs:
                said = self.service.problem(self.name)
                self._close(
                    entry, FAILED, f"it could not be stopped ({said}) and runs on as it was"
                )
                return DONE
        by_force = self.stopped(entry)
        if not entry.goes_back or (entry.left and not entry.from_before):
            entry.restore_from = entry.left
        if not entry.restore_from:
            self._close(
                entry, FAILED, "it was stopped by force meanwhile, and there is no snapshot"
            )
            return DONE
        if by_force and self._would_count_again(entry):
            self._close(
                entry,
                FAILED,
                f"it was stopped by force meanwhile; {sums_again(self.job, entry.left)}",
            )
            return DONE
        return CHANGE

    def stopped(self, entry: Entry) -> bool:
        """Notes what the stop has left. Returns whether somebody has stopped it by force, in between."""
        own = self.service.since(self.name, entry.kept or ())
        entry.left = own or entry.taken
        self.runs.ended(STOPPED, self.clock.now_ms(), own)
        return not own

    def change(self, entry: Entry) -> str:
        try:
            self._set(entry.wanted, entry.version)
        except Busy:
            raise
        except ServiceError as error:
            return self._unwell(entry, error.message)
        return LAUNCH

    def launch(self, entry: Entry) -> str:
        entry.kept = None  # of the stop that is over
        problem = self._start(entry, entry.restore_from, entry.allow_dropped_state)
        return self._unwell(entry, problem) if problem else WATCH

    def look(self, entry: Entry) -> str:
        if problem := self.health.problem(entry.start_ms, entry.running_ms):
            return self._unwell(entry, problem)
        self._close(entry, HEALTHY)
        return DONE

    # -- back ------------------------------------------------------------------------------------------

    def _unwell(self, entry: Entry, problem: str) -> str:
        entry.problem = problem
        self.service.say(f"{self.job}: not healthy: {problem}")
        return HALT

    def halt(self, entry: Entry) -> str:
        """With a snapshot where the new version may have written something, and the old one can read it:
        then that is neither lost nor made again. Else by force, as of one that restarts for ever."""
        now = self.service.describe(self.name)
        if now.status not in ("READY", "STOPPING", "FORCE_STOPPING"):
            if entry.kept is None:
                entry.wrote = entry.wrote or self._may_have_written(entry)
                self._keep(entry)
            if now.runs and entry.wrote and entry.reads_back:
                with suppress(ServiceError):
                    self.service.stop(self.name)
                    now = self.service.wait(self.name, READY, STOP_S)
            if now.status != "READY":
                self.service.stop(self.name, force=True)
        self.service.wait(self.name, READY, STOP_S)
        if entry.kept is not None and entry.wrote and entry.reads_back:
            entry.newest = self.service.since(self.name, entry.kept)
        self.runs.ended(STOPPED if entry.newest else CANCELLED, self.clock.now_ms(), entry.newest)
        if entry.before is None:
            self._close(
                entry, FAILED, f"{entry.problem}; there is nothing to go back to, so it is stopped"
            )
            return DONE
        return CHANGE_BACK

    def _may_have_written(self, entry: Entry) -> bool:
        return bool(entry.running_ms) and self.health.may_have_written(entry.start_ms)

    def change_back(self, entry: Entry) -> str:
        assert entry.before is not None
        self._set(entry.before, None)
        problem = ""
        if not entry.ran or not (entry.newest or entry.left):
            problem = "it is stopped, with the settings it had before"
        elif not entry.newest and entry.wrote and self._would_count_again(entry):
            problem = f"it is stopped, with the settings it had before; {sums_again(self.job, entry.left)}"
        if problem:
            self._close(entry, FAILED, f"{entry.problem}; {problem}")
            return DONE
        return LAUNCH_BACK

    def launch_back(self, entry: Entry) -> str:
        start = entry.newest or entry.left
        if problem := self._start(entry, start, False):
            return self._not_back(entry, f"it did not start from {start} either: {problem}")
        return WATCH_BACK

    def look_back(self, entry: Entry) -> str:
        if problem := self.health.problem(entry.start_ms, entry.running_ms):
            start = entry.newest or entry.left
            return self._not_back(entry, f"from {start} it is not well either: {problem}")
        self._close(entry, ROLLED_BACK)
        if entry.wrote and not entry.newest:
            self.say_written_again(entry.left)
        return DONE

    def _not_back(self, entry: Entry, problem: str) -> str:
        entry.problem = f"{entry.problem}; rolled back, {problem}"
        if entry.newest and entry.left and not self._would_count_again(entry):
            self.service.say(f"{self.job}: {problem}; now from {entry.left}")
            entry.newest, entry.reads_back = "", False  # perhaps it is the state that is bad
            return HALT
        self._close(entry, FAILED)
        return DONE

    # -- what is made again ----------------------------------------------------------------------------

    def _would_count_again(self, entry: Entry) -> bool:
        """Whether a start from a state that is not the last one does harm that nobody has accepted."""
        return self.sums and not entry.counted_again

    def still_runs(self) -> bool:
        """Once nothing is on its way."""
        return self._settled().runs

    def say_written_again(self, snapshot: str) -> None:
        found = self.service.snapshot(self.name, snapshot)
        if found:
            self.service.say(rows_again(self.job, found.made_ms, self.clock.now_ms()))

    # -- what both ways do -----------------------------------------------------------------------------

    def _close(self, entry: Entry, outcome: str, problem: str = "") -> None:
        entry.problem = problem or entry.problem
        self.journal.close(entry, outcome)
        self.service.say(f"{self.job}: {outcome}")

    def _keep(self, entry: Entry) -> None:
        entry.kept = self.service.names_of_snapshots(self.name)
        self.journal.note(entry)

    def _settled(self) -> Application:
        """Once nothing is on its way."""
        return self.service.wait(self.name, RUNNING | READY, max(START_S, STOP_S))

    def _set(self, config: Config, version: int | None) -> None:
        """``version``: the one that may be changed; None: whichever is there."""
        now = self._settled()
        change = requests.update(now, config)
        if not change:
            return
        if now.runs or (version is not None and now.version != version):
            raise Busy(
                f"{self.name} is {now.status} in version {now.version}: somebody has started or changed it "
                f"meanwhile. `tillstream deploy rollback {self.job}` goes back to how it was; apply goes on "
                "once it is stopped in the version it had"
            )
        self.service.update(self.name, now.version, change)

    def _start(self, entry: Entry, snapshot: str | None, allow: bool) -> str:
        """What is wrong, "" once it is RUNNING."""
        now = self._settled()
        try:
            if not now.runs:
                entry.start_ms, entry.running_ms = self.clock.now_ms(), 0
                self.journal.note(entry)
                self.service.say(
                    f"{self.job}: from {f'snapshot {snapshot}' if snapshot else 'no state'}"
                )
                entry.start_ms = self.service.start(self.name, snapshot, allow)
                self.journal.note(entry)
                now = self.service.wait(self.name, RUNNING, START_S)
        except Busy:
            raise
        except ServiceError as error:
            return error.message
        if now.runs:
            entry.running_ms = entry.running_ms or self.clock.now_ms()
            self.runs.begun(entry.start_ms, now.parallelism, snapshot)
            return ""
        return f"it is {now.status} after its start: {self.service.problem(self.name) or 'no reason given'}"
