"""A deployment in steps. Each is noted before it is taken and can be taken again: it looks first what is
done already. So whoever finds an open journal goes on with it, whatever became of the one who wrote it.

The job is stopped with a snapshot, changed while it is stopped, and started from that snapshot by name: one
call for each, so that at no point it depends on what the service would do by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from tillstream.cli.times import shown
from tillstream.deploy import requests
from tillstream.deploy.figures import Figures, Watch
from tillstream.deploy.journal import DONE, FAILED, HEALTHY, ROLLED_BACK, Entry, Journal
from tillstream.deploy.plan import CREATE, START, UPDATE, Config, Plan, config_of
from tillstream.deploy.release import Packed, Releases
from tillstream.deploy.runs import CANCELLED, STOPPED, Runs
from tillstream.deploy.service import START_S, STOP_S, Application, Busy, Service, ServiceError

RUNNING, READY = frozenset({"RUNNING"}), frozenset({"READY"})
MOST_RESTARTS = 3  # without a checkpoint between them
# Step of an action -> what comes first; every step says what follows it.
UPLOAD, MAKE, TAKE, STOP, CHANGE, LAUNCH, WATCH = (
    "upload", "create", "snapshot", "stop", "change", "start", "watch"
)  # fmt: skip
HALT, CHANGE_BACK, LAUNCH_BACK, WATCH_BACK = "halt", "change back", "start back", "watch back"
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
        self.service, self.journal, self.releases, self.watch = service, journal, releases, watch
        self.name, self.job, self.clock = runs.application, journal.job, service.clock
        self.runs = runs
        self.checkpoints, self.minutes = healthy
        self.packed: Packed | None = None

    def begin(
        self,
        plan: Plan,
        wanted: Config,
        now: Application | None,
        restore_from: str | None = None,
        first: str = UPLOAD,
        goes_back: bool = False,
    ) -> Entry:
        """Opens the journal with what ``plan`` says. ``restore_from``: for a job that does not run."""
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
        )
        self.journal.open(entry)
        return entry

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
            return (
                f"{why}. It was rolled back and runs as before, from snapshot {entry.left}. {look}"
            )
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
                if not entry.goes_back:  # who goes back does so because the job is not well
                    self._close(entry, FAILED, error.message)
                    return DONE
                entry.taken = ""
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
        newest = self.service.newest(self.name)
        if newest and newest.made_ms >= entry.started_ms:
            entry.left = newest.name
        else:  # somebody stopped it by force, in between
            entry.left = entry.taken
        self.runs.ended(STOPPED, self.clock.now_ms(), entry.left)
        if not entry.goes_back:
            entry.restore_from = entry.left or (newest.name if newest else None)
        return CHANGE

    def change(self, entry: Entry) -> str:
        try:
            self._set(entry.wanted, entry.version)
        except Busy:
            raise
        except ServiceError as error:
            return self._unwell(entry, error.message)
        return LAUNCH

    def launch(self, entry: Entry) -> str:
        problem = self._start(entry, entry.restore_from, entry.allow_dropped_state)
        return self._unwell(entry, problem) if problem else WATCH

    def look(self, entry: Entry) -> str:
        if problem := self._problem(entry):
            return self._unwell(entry, problem)
        self._close(entry, HEALTHY)
        return DONE

    # -- back ------------------------------------------------------------------------------------------

    def _unwell(self, entry: Entry, problem: str) -> str:
        entry.problem = problem
        self.service.say(f"{self.job}: not healthy: {problem}")
        return HALT

    def halt(self, entry: Entry) -> str:
        """By force: a job that restarts for ever takes no snapshot, and nothing of it is wanted."""
        now = self.service.describe(self.name)
        if now.status != "READY":
            if now.status not in ("FORCE_STOPPING", "STOPPING"):
                self.service.stop(self.name, force=True)
            self.service.wait(self.name, READY, STOP_S)
        self.runs.ended(CANCELLED, self.clock.now_ms())
        if entry.before is None:
            self._close(
                entry, FAILED, f"{entry.problem}; there is nothing to go back to, so it is stopped"
            )
            return DONE
        return CHANGE_BACK

    def change_back(self, entry: Entry) -> str:
        assert entry.before is not None
        self._set(entry.before, None)
        if not entry.ran or not entry.left:
            self._close(
                entry, FAILED, f"{entry.problem}; it is stopped, with the settings it had before"
            )
            return DONE
        return LAUNCH_BACK

    def launch_back(self, entry: Entry) -> str:
        if problem := self._start(entry, entry.left, False):
            self._close(
                entry, FAILED, f"{entry.problem}; rolled back it did not start either: {problem}"
            )
            return DONE
        return WATCH_BACK

    def look_back(self, entry: Entry) -> str:
        if problem := self._problem(entry):
            self._close(
                entry, FAILED, f"{entry.problem}; rolled back it is not well either: {problem}"
            )
        else:
            self._close(entry, ROLLED_BACK)
        return DONE

    # -- what both ways do -----------------------------------------------------------------------------

    def _close(self, entry: Entry, outcome: str, problem: str = "") -> None:
        entry.problem = problem or entry.problem
        self.journal.close(entry, outcome)
        self.service.say(f"{self.job}: {outcome}")

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
                entry.start_ms = self.clock.now_ms()
                self.journal.note(entry)
                self.service.say(
                    f"{self.job}: from {f'snapshot {snapshot}' if snapshot else 'no state'}"
                )
                self.service.start(self.name, snapshot, allow)
                now = self.service.wait(self.name, RUNNING, START_S)
        except Busy:
            raise
        except ServiceError as error:
            return error.message
        if now.runs:
            self.runs.begun(entry.start_ms, now.parallelism, snapshot)
            return ""
        return f"it is {now.status} after its start: {self.service.problem(self.name) or 'no reason given'}"

    def _problem(self, entry: Entry) -> str:
        """What is wrong, "" once enough checkpoints are complete and nothing has restarted of late. A state
        that does not fit looks like a success: the application is RUNNING and its job restarts for ever."""
        until = entry.start_ms + self.minutes * 60_000
        while True:
            now = self.service.describe(self.name)
            if not now.runs:
                return f"it is {now.status}: {self.service.problem(self.name) or 'no reason given'}"
            found = self.watch.figures(self.name, entry.start_ms, self.clock.now_ms())
            if problem := self._verdict(found):
                return problem
            if self._well(found):
                return ""
            if self.clock.now_ms() >= until:
                return self._said(found, self.minutes)
            self.service.pause()

    def _well(self, found: Figures) -> bool:
        done = found.completed_checkpoints >= self.checkpoints
        return done and found.restarts is not None and found.restarts_of_late == 0

    def _verdict(self, found: Figures) -> str:
        """A problem that no waiting helps."""
        if (found.restarts or 0) >= MOST_RESTARTS and not found.completed_checkpoints:
            return f"{found.restarts} restarts and no checkpoint"
        return ""

    def _said(self, found: Figures, minutes: int) -> str:
        restarts = "unknown" if found.restarts is None else found.restarts
        return (
            f"after {minutes} minutes {found.completed_checkpoints} checkpoints of {self.checkpoints}, "
            f"{found.failed_checkpoints} failed, restarts: {restarts}"
        )
