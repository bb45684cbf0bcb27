"""The rules of the service: statuses and their order, versions, snapshots, rollbacks, limits."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.amsf.configuration import DEFAULT_PARALLELISM, changed, created
from tests.amsf.engine import Clock, Engine, Launch
from tests.amsf.records import Application, Operation, Snapshot, detail
from tests.amsf.shapes import Refused, check

ACCOUNT = "123456789012"
MOST_SNAPSHOTS = 1_000
MOST_CODE = 512 * 2**20
MOST_KPUS = 64
Json = dict[str, Any]
Code = Callable[[str, str], bytes | None]  # bucket, key -> the zip


class ManagedFlink:
    """The API's operations by name: ``call("StartApplication", request)`` -> answer. Raises Refused."""

    def __init__(
        self, engine: Engine, clock: Clock, code: Code, region: str = "af-south-1"
    ) -> None:
        self.engine, self.clock, self.code, self.region = engine, clock, code, region
        self.applications: dict[str, Application] = {}
        self.calls: list[str] = []
        self._count = 0

    def call(self, operation: str, request: Json) -> Json:
        check(operation, request)
        for one in self.applications.values():
            self._settle(one)
        self.calls.append(operation)
        answer: Json = getattr(self, operation)(request)
        return answer

    def _at(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)

    def _id(self) -> str:
        self._count += 1
        return hashlib.sha256(str(self._count).encode()).hexdigest()[:22]

    def _found(self, request: Json) -> Application:
        name = request["ApplicationName"]
        if name not in self.applications:
            raise Refused("ResourceNotFoundException", f"Application {name} not found.")
        return self.applications[name]

    def _must_be(self, one: Application, *statuses: str) -> None:
        if one.status not in statuses:
            raise Refused(
                "ResourceInUseException",
                f"Application {one.name} cannot do that in {one.status} state.",
            )

    # -- what the engine has done meanwhile -------------------------------------------------------------

    def _settle(self, one: Application) -> None:
        state = self.engine.state(one.run) if one.run else ""
        if one.status == "STARTING" or (
            one.status in ("UPDATING", "ROLLING_BACK") and one.then is None
        ):
            if state == "RUNNING":
                one.proven = one.version
                one.status = "RUNNING"
                self._end(one)
            elif state == "FAILED":
                self._failed(one)
        elif one.status in ("STOPPING", "UPDATING") and self._broken(one):
            one.status, one.then = "RUNNING", None
            self._end(one, "the snapshot could not be taken")
        elif state == "STOPPED" and one.status in (
            "STOPPING", "FORCE_STOPPING", "UPDATING", "ROLLING_BACK"
        ):  # fmt: skip
            if one.then is not None:
                following, one.then = one.then, None
                following()
            else:
                one.status = "READY"
                self._end(one)

    def _broken(self, one: Application) -> bool:
        newest = list(one.snapshots)[-1:]
        return bool(newest) and self.engine.snapshot_state(one.name, newest[0]) == "FAILED"

    def _failed(self, one: Application) -> None:
        problem, was = self.engine.problem(one.run), one.status
        self._end(one, problem)
        if was == "UPDATING" and one.now["rollback"] and one.proven:
            self._roll_back(one)
        else:
            one.status = "READY"

    def _end(self, one: Application, error: str = "") -> None:
        for operation in one.operations:
            if operation.status == "IN_PROGRESS":
                operation.status = "FAILED" if error else "SUCCESSFUL"
                operation.ended, operation.error = self._at(), error

    def _begin(self, one: Application, kind: str) -> str:
        one.operations.append(Operation(self._id(), kind, self._at()))
        return one.operations[-1].id

    # -- applications ----------------------------------------------------------------------------------

    def CreateApplication(self, request: Json) -> Json:
        name = request["ApplicationName"]
        if name in self.applications:
            raise Refused("ResourceInUseException", f"Application {name} already exists.")
        made = created(request)
        self._possible(made)
        self.applications[name] = Application(name, self._at(), "READY", [made])
        return {"ApplicationDetail": self._detail(self.applications[name])}

    def _possible(self, made: Json) -> None:
        """Raises Refused for a configuration that the service would not take."""
        content = (made["code"] or {}).get("CodeContent", {}).get("S3ContentLocation")
        if content:
            code = self._code(content)
            if code is None:
                raise Refused(
                    "InvalidArgumentException",
                    f"Unable to get the object {content['FileKey']} from S3",
                )
            if len(code) > MOST_CODE:
                raise Refused("CodeValidationException", "The code is larger than 512 MB")
        asked = {**DEFAULT_PARALLELISM, **made["parallelism"]}
        if asked["ConfigurationType"] == "CUSTOM":
            if not 1 <= asked["ParallelismPerKPU"] <= 8:
                raise Refused("InvalidArgumentException", "ParallelismPerKPU must be 1 to 8")
            if -(-asked["Parallelism"] // asked["ParallelismPerKPU"]) > MOST_KPUS:
                raise Refused("LimitExceededException", f"More than {MOST_KPUS} KPUs")
        seen = [group["PropertyGroupId"] for group in made["properties"]]
        if len(seen) != len(set(seen)):
            raise Refused("InvalidArgumentException", "PropertyGroupIds must be unique")

    def _code(self, content: Json) -> bytes | None:
        return self.code(content["BucketARN"].rpartition(":")[2], content["FileKey"])

    def DescribeApplication(self, request: Json) -> Json:
        return {"ApplicationDetail": self._detail(self._found(request))}

    def ListApplications(self, request: Json) -> Json:
        names, token = self._page(sorted(self.applications), request)
        return {
            "ApplicationSummaries": [
                {key: value for key, value in self._detail(self.applications[name]).items()
                 if key in ("ApplicationName", "ApplicationARN", "ApplicationStatus",
                            "ApplicationVersionId", "RuntimeEnvironment", "ApplicationMode")}
                for name in names
            ],
            "NextToken": token,
        }  # fmt: skip

    def _page(self, every: list[Any], request: Json) -> tuple[list[Any], str | None]:
        begin, most = int(request.get("NextToken", "0")), request.get("Limit", 50)
        rest = begin + most
        return every[begin:rest], str(rest) if rest < len(every) else None

    def UpdateApplication(self, request: Json) -> Json:
        one = self._found(request)
        if "CurrentApplicationVersionId" not in request and "ConditionalToken" not in request:
            raise Refused(
                "InvalidArgumentException",
                "CurrentApplicationVersionId or ConditionalToken is needed",
            )
        self._must_be_version(one, request)
        self._must_be(one, "READY", "RUNNING")
        made = changed(one.now, request)
        self._possible(made)
        run = request.get("RunConfigurationUpdate", {})
        operation = self._begin(one, "UpdateApplication")
        one.versions.append(made)
        one.rolled = {"ApplicationVersionUpdatedFrom": one.version - 1}
        if one.status == "READY":
            self._end(one)
        else:
            one.status = "UPDATING"
            self._restart(one, run)
        return {"ApplicationDetail": self._detail(one), "OperationId": operation}

    def _must_be_version(self, one: Application, request: Json) -> None:
        expected = request.get("CurrentApplicationVersionId", one.version)
        if expected != one.version:
            raise Refused(
                "ConcurrentModificationException",
                f"The application is at version {one.version}, not {expected}",
            )

    def _restart(self, one: Application, run: Json) -> None:
        """Stops what runs, with a snapshot, and goes on with the newest version."""
        self.engine.stop(one.run, self._new_snapshot(one) if one.now["snapshots"] else None)
        one.then = lambda: self._launch(one, run)

    def _roll_back(self, one: Application) -> None:
        kept = copy.deepcopy(one.versions[one.proven - 1])
        one.rolled = {
            "ApplicationVersionRolledBackFrom": one.version,
            "ApplicationVersionRolledBackTo": one.proven,
        }
        one.versions.append(kept)
        one.status = "ROLLING_BACK"
        self._begin(one, "SystemRollbackApplication")
        self._launch(one, {})

    def RollbackApplication(self, request: Json) -> Json:
        one = self._found(request)
        self._must_be_version(one, request)
        self._must_be(one, "UPDATING", "AUTOSCALING", "RUNNING")
        if not self._ready(one):
            raise Refused("InvalidRequestException", "The application has no snapshots")
        if one.version < 2:
            raise Refused("InvalidRequestException", "There is no version to go back to")
        if one.proven == one.version:
            one.proven = one.version - 1
        self.engine.stop(one.run, None)
        self._end(one, "rolled back")
        self._roll_back(one)
        return {"ApplicationDetail": self._detail(one), "OperationId": one.operations[-1].id}

    def StartApplication(self, request: Json) -> Json:
        one = self._found(request)
        self._must_be(one, "READY")
        operation = self._begin(one, "StartApplication")
        try:
            one.status = "STARTING"
            self._launch(one, request.get("RunConfiguration", {}))
        except Refused:
            one.operations.pop()
            one.status = "READY"
            raise
        return {"OperationId": operation}

    def _launch(self, one: Application, run: Json) -> None:
        restore = run.get(
            "ApplicationRestoreConfiguration",
            {"ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT"},
        )
        kind = restore["ApplicationRestoreType"]
        snapshot = None
        if kind == "RESTORE_FROM_CUSTOM_SNAPSHOT":
            snapshot = restore.get("SnapshotName")
            if snapshot not in self._ready(one):
                raise Refused("InvalidArgumentException", f"There is no snapshot {snapshot}")
        elif "SnapshotName" in restore:
            raise Refused("InvalidArgumentException", f"{kind} takes no SnapshotName")
        elif kind == "RESTORE_FROM_LATEST_SNAPSHOT":
            snapshot = next(iter(reversed(self._ready(one))), None)
        allow = run.get("FlinkRunConfiguration", {}).get("AllowNonRestoredState", False)
        one.run_configuration = {
            "ApplicationRestoreConfigurationDescription": restore,
            "FlinkRunConfigurationDescription": {"AllowNonRestoredState": allow},
        }
        code = self._code(one.now["code"]["CodeContent"]["S3ContentLocation"])
        if code is None:
            raise Refused("InvalidArgumentException", "The code is not in its bucket any more")
        properties = {
            group["PropertyGroupId"]: group["PropertyMap"] for group in one.now["properties"]
        }
        one.run = self.engine.start(
            Launch(one.name, one.now["runtime"], code, one.now["parallelism"]["Parallelism"],
                   properties, snapshot, allow)
        )  # fmt: skip

    def StopApplication(self, request: Json) -> Json:
        one = self._found(request)
        if request.get("Force", False):
            self._must_be(
                one, "RUNNING", "STARTING", "UPDATING", "STOPPING", "AUTOSCALING", "ROLLING_BACK"
            )
            self._end(one, "stopped by force")
            operation = self._begin(one, "StopApplication")
            one.status, one.then = "FORCE_STOPPING", None
            self.engine.stop(one.run, None)
        else:
            self._must_be(one, "RUNNING")
            operation = self._begin(one, "StopApplication")
            one.status = "STOPPING"
            self.engine.stop(one.run, self._new_snapshot(one) if one.now["snapshots"] else None)
        return {"OperationId": operation}

    def DeleteApplication(self, request: Json) -> Json:
        one = self._found(request)
        self._must_be(one, "READY")
        if abs(request["CreateTimestamp"] - one.created.timestamp()) > 1:
            raise Refused("InvalidArgumentException", "CreateTimestamp is not the application's")
        del self.applications[one.name]
        return {}

    # -- snapshots -------------------------------------------------------------------------------------

    def _new_snapshot(self, one: Application, name: str | None = None) -> str:
        name = name or f"service-{self._id()}"
        one.snapshots[name] = Snapshot(name, one.version, self._at(), one.now["runtime"])
        return name

    def _ready(self, one: Application) -> list[str]:
        return [n for n in one.snapshots if self.engine.snapshot_state(one.name, n) == "READY"]

    def CreateApplicationSnapshot(self, request: Json) -> Json:
        one, name = self._found(request), request["SnapshotName"]
        if not one.now["snapshots"]:
            raise Refused("InvalidApplicationConfigurationException", "Snapshots are not enabled")
        self._must_be(one, "RUNNING")
        if name in one.snapshots:
            raise Refused("InvalidArgumentException", f"Snapshot {name} already exists")
        if len(one.snapshots) >= MOST_SNAPSHOTS:
            raise Refused("LimitExceededException", f"{MOST_SNAPSHOTS} snapshots are there")
        self.engine.snapshot(one.run, self._new_snapshot(one, name))
        return {}

    def DescribeApplicationSnapshot(self, request: Json) -> Json:
        one = self._found(request)
        return {"SnapshotDetails": self._snapshot(one, self._known(one, request))}

    def ListApplicationSnapshots(self, request: Json) -> Json:
        one = self._found(request)
        some, token = self._page(list(one.snapshots.values()), request)
        return {"SnapshotSummaries": [self._snapshot(one, s) for s in some], "NextToken": token}

    def DeleteApplicationSnapshot(self, request: Json) -> Json:
        one = self._found(request)
        found = self._known(one, request)
        if abs(request["SnapshotCreationTimestamp"] - found.created.timestamp()) > 1:
            raise Refused(
                "InvalidArgumentException", "SnapshotCreationTimestamp is not the snapshot's"
            )
        del one.snapshots[found.name]
        self.engine.discard(one.name, found.name)
        return {}

    def _known(self, one: Application, request: Json) -> Snapshot:
        if request["SnapshotName"] not in one.snapshots:
            raise Refused(
                "ResourceNotFoundException", f"There is no snapshot {request['SnapshotName']}"
            )
        return one.snapshots[request["SnapshotName"]]

    def _snapshot(self, one: Application, found: Snapshot) -> Json:
        return {
            "SnapshotName": found.name,
            "SnapshotStatus": self.engine.snapshot_state(one.name, found.name),
            "ApplicationVersionId": found.version,
            "SnapshotCreationTimestamp": found.created,
            "RuntimeEnvironment": found.runtime,
        }

    # -- operations ------------------------------------------------------------------------------------

    def ListApplicationOperations(self, request: Json) -> Json:
        some, token = self._page(self._found(request).operations[::-1], request)
        listed = [{"Operation": o.kind, "OperationId": o.id, "StartTime": o.began, "EndTime": o.ended,
                   "OperationStatus": o.status} for o in some]  # fmt: skip
        return {"ApplicationOperationInfoList": listed, "NextToken": token}

    def DescribeApplicationOperation(self, request: Json) -> Json:
        for one in self._found(request).operations:
            if one.id == request["OperationId"]:
                failed = {"ErrorInfo": {"ErrorString": one.error[:512]}} if one.error else None
                return {"ApplicationOperationInfoDetails": {
                    "Operation": one.kind, "StartTime": one.began, "EndTime": one.ended or one.began,
                    "OperationStatus": one.status, "OperationFailureDetails": failed}}  # fmt: skip
        raise Refused(
            "ResourceNotFoundException", f"There is no operation {request['OperationId']}"
        )

    def _detail(self, one: Application) -> Json:
        return detail(
            one, f"arn:aws:kinesisanalytics:{self.region}:{ACCOUNT}:application/{one.name}"
        )
