"""Amazon Managed Service for Apache Flink as typed calls, each of which waits if asked to.

Shapes and names are those of boto3's own model of kinesisanalyticsv2. Times are ms, UTC.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tillstream.cli.times import now_ms
from tillstream.errors import Problem, Unreachable

Json = dict[str, Any]
Say = Callable[[str], None]
EVERY_S = 5.0
# How long the service may take: a snapshot of a large state is slow, and so is a start from one.
START_S, STOP_S, TAKE_S = 1800.0, 1800.0, 1800.0
ON_ITS_WAY = frozenset(
    {"STARTING", "STOPPING", "FORCE_STOPPING", "UPDATING", "AUTOSCALING", "ROLLING_BACK", "MAINTENANCE",
     "DELETING"}
)  # fmt: skip


class ServiceError(Problem):
    """The service refuses, or did not do what was asked; the message names the fix."""


class Busy(ServiceError):
    """Something else is under way with the application, or it was changed meanwhile."""


class NoSuch(ServiceError):
    """There is no such application or snapshot."""


@dataclass(frozen=True)
class Clock:
    """Real time, unless a test says otherwise."""

    now_ms: Callable[[], int] = now_ms
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Application:
    """What runs, or would if it were started. ``version``: of the application's configuration. ``code``:
    bucket and key. ``properties``: group -> name -> value. ``networks``: id -> (subnets, security groups)."""

    name: str
    status: str
    version: int
    runtime: str
    role: str
    code: tuple[str, str]
    properties: dict[str, dict[str, str]]
    parallelism: int
    per_kpu: int
    autoscaling: bool
    checkpoint_interval_ms: int
    checkpoint_pause_ms: int
    snapshots: bool
    rollback: bool
    log_streams: tuple[str, ...]
    networks: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    created: datetime

    @property
    def runs(self) -> bool:
        return self.status == "RUNNING"


@dataclass(frozen=True)
class Snapshot:
    """``status``: CREATING, READY, DELETING or FAILED. ``version``: the application's, then."""

    name: str
    status: str
    version: int
    made_ms: int
    made: datetime = field(compare=False)


def application(detail: Json) -> Application:
    """Of an ApplicationDetail."""
    found = detail.get("ApplicationConfigurationDescription") or {}
    flink = found.get("FlinkApplicationConfigurationDescription", {})
    parallel = flink.get("ParallelismConfigurationDescription", {})
    checkpoints = flink.get("CheckpointConfigurationDescription", {})
    content = found.get("ApplicationCodeConfigurationDescription", {}).get(
        "CodeContentDescription", {}
    )
    code = content.get("S3ApplicationCodeLocationDescription", {})
    groups = found.get("EnvironmentPropertyDescriptions", {}).get("PropertyGroupDescriptions", [])
    rollback = found.get("ApplicationSystemRollbackConfigurationDescription", {})
    return Application(
        name=detail["ApplicationName"],
        status=detail["ApplicationStatus"],
        version=detail["ApplicationVersionId"],
        runtime=detail["RuntimeEnvironment"],
        role=detail.get("ServiceExecutionRole", ""),
        code=(code.get("BucketARN", "").rpartition(":")[2], code.get("FileKey", "")),
        properties={group["PropertyGroupId"]: group["PropertyMap"] for group in groups},
        parallelism=parallel.get("Parallelism", 1),
        per_kpu=parallel.get("ParallelismPerKPU", 1),
        autoscaling=parallel.get("AutoScalingEnabled", False),
        checkpoint_interval_ms=checkpoints.get("CheckpointInterval", 60_000),
        checkpoint_pause_ms=checkpoints.get("MinPauseBetweenCheckpoints", 5_000),
        snapshots=found.get("ApplicationSnapshotConfigurationDescription", {}).get(
            "SnapshotsEnabled", False
        ),
        rollback=rollback.get("RollbackEnabled", False),
        log_streams=tuple(
            one["LogStreamARN"] for one in detail.get("CloudWatchLoggingOptionDescriptions") or ()
        ),
        networks={
            one["VpcConfigurationId"]: (tuple(one["SubnetIds"]), tuple(one["SecurityGroupIds"]))
            for one in found.get("VpcConfigurationDescriptions") or ()
        },
        created=detail["CreateTimestamp"],
    )


def _snapshot(found: Json) -> Snapshot:
    made = found["SnapshotCreationTimestamp"]
    return Snapshot(
        found["SnapshotName"],
        found["SnapshotStatus"],
        found["ApplicationVersionId"],
        int(made.timestamp() * 1000),
        made,
    )


class Service:
    """``client``: of kinesisanalyticsv2. Every call raises ServiceError, or Unreachable."""

    def __init__(
        self, client: Any, clock: Clock | None = None, say: Say = lambda line: None
    ) -> None:
        self._client, self.clock, self.say = client, clock or Clock(), say
        self.each_wait: Callable[[], None] = lambda: None  # while something is waited for

    # -- applications ----------------------------------------------------------------------------------

    def find(self, name: str) -> Application | None:
        try:
            return self.describe(name)
        except NoSuch:
            return None

    def describe(self, name: str) -> Application:
        with _asked(name):
            return application(
                self._client.describe_application(ApplicationName=name)["ApplicationDetail"]
            )

    def names(self) -> list[str]:
        """Of all applications in this account and region."""
        pages = self._pages("list_applications", "ApplicationSummaries", "the list of applications")
        return [one["ApplicationName"] for one in pages]

    def create(self, request: Json) -> Application:
        """``request``: of CreateApplication."""
        with _asked(request["ApplicationName"]):
            return application(self._client.create_application(**request)["ApplicationDetail"])

    def update(self, name: str, version: int, changes: Json) -> Application:
        """``version``: the one that the changes were made for. Raises Busy where it is no longer that."""
        with _asked(name):
            answer = self._client.update_application(
                ApplicationName=name, CurrentApplicationVersionId=version, **changes
            )
        return application(answer["ApplicationDetail"])

    def start(self, name: str, snapshot: str | None, allow_dropped_state: bool = False) -> int:
        """From that snapshot, or without state; returns when that was, ms by the service's own clock."""
        restore = {"ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT"}
        if snapshot:
            restore = {
                "ApplicationRestoreType": "RESTORE_FROM_CUSTOM_SNAPSHOT",
                "SnapshotName": snapshot,
            }
        run = {
            "ApplicationRestoreConfiguration": restore,
            "FlinkRunConfiguration": {"AllowNonRestoredState": allow_dropped_state},
        }
        with _asked(name):
            answer = self._client.start_application(ApplicationName=name, RunConfiguration=run)
        return self._dated(answer)

    def _dated(self, answer: Json) -> int:
        """When the service gave ``answer``; it may differ from our clock by minutes."""
        said = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
        return int(parsedate_to_datetime(said).timestamp() * 1000) if said else self.clock.now_ms()

    def stop(self, name: str, force: bool = False) -> None:
        """``force``: without a snapshot. Does not wait."""
        with _asked(name):
            self._client.stop_application(ApplicationName=name, Force=force)

    def wait(self, name: str, wanted: frozenset[str], timeout_s: float) -> Application:
        """Returns once the application has one of those statuses, or one from which nothing comes by
        itself. Raises ServiceError when it takes longer."""
        until = self.clock.now_ms() + timeout_s * 1000
        said = ""
        while True:
            found = self.describe(name)
            if found.status != said:
                said = found.status
                self.say(f"{name}: {said}")
            if found.status in wanted or found.status not in ON_ITS_WAY:
                return found
            if self.clock.now_ms() >= until:
                raise ServiceError(
                    f"{name} is {found.status} for {timeout_s / 60:.0f} minutes: look at its log with "
                    "`tillstream deploy logs`; once it has another status, run the command again"
                )
            self.pause()

    def pause(self) -> None:
        self.each_wait()
        self.clock.sleep(EVERY_S)

    def problem(self, name: str) -> str:
        """What the service says of the newest operation that failed, "" if nothing."""
        with contextlib.suppress(ServiceError), _asked(name):
            listed = self._client.list_application_operations(ApplicationName=name, Limit=10)
            for one in listed["ApplicationOperationInfoList"]:
                if one["OperationStatus"] == "FAILED":
                    details = self._client.describe_application_operation(
                        ApplicationName=name, OperationId=one["OperationId"]
                    )["ApplicationOperationInfoDetails"]
                    failure = details.get("OperationFailureDetails") or {}
                    return str(failure.get("ErrorInfo", {}).get("ErrorString", ""))
        return ""

    # -- snapshots -------------------------------------------------------------------------------------

    def snapshots(self, name: str) -> list[Snapshot]:
        """Newest first, whatever their status."""
        pages = self._pages(
            "list_application_snapshots", "SnapshotSummaries", name, ApplicationName=name
        )
        return sorted(map(_snapshot, pages), key=lambda one: one.made_ms, reverse=True)

    def newest(self, name: str) -> Snapshot | None:
        """The newest that can be restored."""
        return next((one for one in self.snapshots(name) if one.status == "READY"), None)

    def names_of_snapshots(self, name: str) -> tuple[str, ...]:
        """Whatever their status."""
        return tuple(one.name for one in self.snapshots(name))

    def since(self, name: str, kept: Collection[str]) -> str:
        """The newest that can be restored and is not one of ``kept``, "" if none. So a stop's own is found
        without comparing clocks."""
        new = (
            one.name
            for one in self.snapshots(name)
            if one.status == "READY" and one.name not in kept
        )
        return next(new, "")

    def snapshot(self, name: str, snapshot: str) -> Snapshot | None:
        try:
            with _asked(name):
                found = self._client.describe_application_snapshot(
                    ApplicationName=name, SnapshotName=snapshot
                )
        except NoSuch:
            return None
        return _snapshot(found["SnapshotDetails"])

    def take(self, name: str, snapshot: str) -> Snapshot:
        """Takes one of that name, or goes on with it where it has begun already; returns it READY."""
        found = self.snapshot(name, snapshot)
        if found is None:
            with _asked(name):
                self._client.create_application_snapshot(
                    ApplicationName=name, SnapshotName=snapshot
                )
        until = self.clock.now_ms() + TAKE_S * 1000
        while True:
            found = self.snapshot(name, snapshot)
            if found and found.status == "READY":
                return found
            if found is None or found.status == "FAILED" or self.clock.now_ms() >= until:
                status = found.status if found else "gone"
                raise ServiceError(
                    f"snapshot {snapshot} of {name} is {status}: a job whose checkpoints fail takes none. "
                    "`tillstream deploy status` and `deploy logs` say how it goes; nothing was changed"
                )
            self.pause()

    def discard(self, name: str, snapshot: str) -> None:
        """Deletes it; one that is gone already is no error."""
        if found := self.snapshot(name, snapshot):
            with _asked(name):
                self._client.delete_application_snapshot(
                    ApplicationName=name,
                    SnapshotName=snapshot,
                    SnapshotCreationTimestamp=found.made,
                )

    def _pages(self, call: str, items: str, what: str, **asked: Any) -> Iterator[Json]:
        while True:
            with _asked(what):
                answer = getattr(self._client, call)(**asked)
            yield from answer.get(items, ())
            if not answer.get("NextToken"):
                return
            asked["NextToken"] = answer["NextToken"]


_FIXES = {
    "AccessDeniedException": "give the role that deploys the action that is named",
    "UnrecognizedClientException": "the credentials are not valid here: `aws sts get-caller-identity`",
    "ExpiredTokenException": "log in again",
    "LimitExceededException": "have the quota raised, or delete what is not needed "
    "(`tillstream savepoint prune` for snapshots)",
    "CodeValidationException": "make the package again: `tillstream package`",
    "ThrottlingException": "too many calls at once: try again in a minute",
    "InvalidApplicationConfigurationException": "`tillstream deploy plan` shows what is configured",
}


@contextlib.contextmanager
def _asked(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code, said = (
            error.response["Error"].get("Code", ""),
            error.response["Error"].get("Message", ""),
        )
        if code == "ResourceNotFoundException":
            raise NoSuch(f"{what}: {said} `tillstream deploy apply` makes applications") from None
        if code in ("ResourceInUseException", "ConcurrentModificationException"):
            raise Busy(
                f"{what}: {said} Something else is under way with it: `tillstream deploy status`, then run "
                "the command again"
            ) from None
        fix = _FIXES.get(code, "`tillstream deploy status` shows how it is")
        raise ServiceError(f"{what}: {code}: {said} ({fix})") from None
    except BotoCoreError as error:
        raise Unreachable(
            f"Amazon's service does not answer ({error}): check the region, the credentials and "
            "deploy.endpoint"
        ) from None
