"""What a deployment is made with, from the settings: clients, the bucket, the stack's outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tillstream import conf as settings
from tillstream.clients import aws
from tillstream.conf import Conf
from tillstream.deploy.apply import Deployer
from tillstream.deploy.figures import Watch
from tillstream.deploy.journal import Journal
from tillstream.deploy.plan import Config, Running, Wanted
from tillstream.deploy.release import Packed, Releases
from tillstream.deploy.runs import Runs
from tillstream.deploy.service import Clock, Say, Service
from tillstream.errors import Problem, Unreachable
from tillstream.infra import names

JOBS_STACK = "tillstream-jobs"


def packages_folder(conf: Conf) -> Path:
    """Where `tillstream package` leaves them."""
    return settings.own_folder() / "packages" / conf.environment


class Office:
    """``outputs``: of the stack of jobs; None: CloudFormation is asked when they are needed."""

    def __init__(
        self,
        conf: Conf,
        say: Say = lambda line: None,
        clock: Clock | None = None,
        outputs: dict[str, str] | None = None,
    ) -> None:
        self.conf, self.say, self.clock = conf, say, clock or Clock()
        self.service = Service(aws.managed_flink(conf), self.clock, say)
        self.releases = Releases(conf)
        self.watch = Watch(aws.cloudwatch(conf), aws.cloudwatch_logs(conf))
        self._outputs = outputs

    def application(self, job: str) -> str:
        return names.application(self.conf, job)

    def log_group(self, job: str) -> str:
        return names.log_group(self.conf, job)

    def runs(self, job: str) -> Runs:
        return Runs(self.releases.storage, job, self.application(job))

    def journal(self, job: str) -> Journal:
        return Journal(self.releases.storage, job, self.clock)

    def deployer(self, job: str) -> Deployer:
        wait = self.conf.deploy
        return Deployer(
            self.service, self.journal(job), self.releases, self.watch, self.runs(job),
            (wait.healthy_checkpoints, wait.healthy_minutes),
        )  # fmt: skip

    def running(self, job: str) -> Running | None:
        found = self.service.find(self.application(job))
        if found is None:
            return None
        kept = found.runs or self.service.newest(found.name) is not None
        return Running(found, self.releases.find(*found.code), kept)

    def wanted(
        self, packed: Packed, running: Running | None, parallelism: int | None = None
    ) -> Wanted:
        """Without ``parallelism`` what runs keeps its own. Raises Problem."""
        release = packed.release
        made = release.manifest
        for what, has, is_ in (
            ("environment", self.conf.environment, made.environment),
            ("deployment", self.conf.deployment, made.deployment),
        ):
            if has != is_:
                raise Problem(
                    f"{packed.file} was made for the {what} {is_}, and this is {has}: make it again with "
                    f"`tillstream package {made.job} --env {self.conf.environment}`"
                )
        usual = running.application.parallelism if running else made.parallelism
        outputs = self.outputs()
        config = Config(
            runtime=made.runtime,
            bucket=self.releases.bucket,
            key=release.key,
            properties=packed.properties,
            parallelism=parallelism or usual,
            per_kpu=self.conf.deploy.parallelism_per_kpu,
            checkpoint_interval_ms=self.conf.deploy.checkpoint_interval_ms,
            checkpoint_pause_ms=self.conf.deploy.checkpoint_pause_ms,
            role=self._output(outputs, names.logical("role", made.job)),
            log_stream=self._output(outputs, names.logical("log", made.job)),
            subnets=_listed(outputs, "Subnets"),
            security_groups=_listed(outputs, "SecurityGroups"),
        )
        return Wanted(made.job, release, config)

    def scaled(self, running: Running, job: str, parallelism: int) -> Wanted:
        """What runs, with another parallelism. Raises Problem where nobody knows what that is."""
        if running.release is None:
            raise Problem(
                f"the code of {running.application.name} was not put there by `tillstream deploy`: deploy it "
                "first, with --parallelism"
            )
        config = msgspec.structs.replace(running.config, parallelism=parallelism)
        return Wanted(job, running.release, config)

    def stack(self) -> str:
        return names.exported(self.conf, JOBS_STACK)

    def outputs(self) -> dict[str, str]:
        """Of the stack of jobs. Raises Problem."""
        if self._outputs is None:
            self._outputs = self._asked()
        return self._outputs

    def _asked(self) -> dict[str, str]:
        try:
            found: Any = aws.cloudformation(self.conf).describe_stacks(StackName=self.stack())
        except ClientError as error:
            said = error.response["Error"].get("Message", "")
            raise Problem(
                f"the stack {self.stack()} cannot be read ({said}): create it first, "
                "`tillstream infra template jobs`"
            ) from None
        except BotoCoreError as error:
            raise Unreachable(
                f"CloudFormation does not answer ({error}): check region and credentials"
            ) from None
        return {
            one["OutputKey"]: one["OutputValue"] for one in found["Stacks"][0].get("Outputs", ())
        }

    def _output(self, outputs: dict[str, str], name: str) -> str:
        if name not in outputs:
            raise Problem(
                f"the stack {self.stack()} has no output {name}: update it, `tillstream infra template jobs`"
            )
        return outputs[name]


def _listed(outputs: dict[str, str], name: str) -> tuple[str, ...]:
    return tuple(part for part in outputs.get(name, "").split(",") if part)
