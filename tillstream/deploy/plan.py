"""What runs against what is wanted: pure. A refusal says what would be lost, and the way out."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tillstream.conf.layers import GROUP
from tillstream.deploy.release import MEANING, Release
from tillstream.deploy.service import Application
from tillstream.package.manifest import PackageManifest

USUAL_KPUS = 64  # quota of an application, unless it was raised
NONE, CREATE, START, UPDATE = "none", "create", "start", "update"


class Config(msgspec.Struct, frozen=True):
    """All that can be set of an application. ``bucket``, ``key``: of the code."""

    runtime: str
    bucket: str
    key: str
    properties: dict[str, dict[str, str]]
    parallelism: int
    per_kpu: int
    checkpoint_interval_ms: int
    checkpoint_pause_ms: int
    role: str = ""
    log_stream: str = ""
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()

    @property
    def kpus(self) -> int:
        """That are paid: those of the workers, and one to orchestrate."""
        return math.ceil(self.parallelism / self.per_kpu) + 1


def config_of(one: Application) -> Config:
    """As it is now."""
    subnets, groups = next(iter(one.networks.values()), ((), ()))
    return Config(
        one.runtime, *one.code, one.properties, one.parallelism, one.per_kpu,
        one.checkpoint_interval_ms, one.checkpoint_pause_ms, one.role,
        next(iter(one.log_streams), ""), subnets, groups,
    )  # fmt: skip


class Change(NamedTuple):
    """``before``: "" where there was none."""

    what: str
    before: str
    after: str


class Wanted(NamedTuple):
    """``release``: of ``config.key``."""

    job: str
    release: Release
    config: Config


class Running(NamedTuple):
    """``release``: None where `deploy` did not put the code there. ``snapshots``: whether there is one."""

    application: Application
    release: Release | None
    snapshots: bool = True

    @property
    def config(self) -> Config:
        return config_of(self.application)


class Consents(NamedTuple):
    """What the caller has said may be. ``drop_state``: uids of operators, or names of keyed states.
    ``accept``: settings that change what state means, or ``unknown-code``. ``counted_again``: what a job has
    added up since a snapshot may be added up once more."""

    drop_state: frozenset[str] = frozenset()
    accept: frozenset[str] = frozenset()
    one_way: bool = False
    counted_again: bool = False


UNKNOWN_CODE = "unknown-code"


@dataclass
class Plan:
    """``action``: none, create, start (what does not run) or update (what runs is stopped with a snapshot
    and started from it). ``dropped``: what state is lost, by uid or name."""

    job: str
    action: str
    changes: list[Change] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    kpus_before: int = 0
    kpus_after: int = 0

    @property
    def restarts(self) -> bool:
        return self.action == UPDATE


def make(wanted: Wanted, running: Running | None, consents: Consents | None = None) -> Plan:
    """``running`` None: there is no application of that name."""
    consents = consents or Consents()
    plan = Plan(wanted.job, CREATE, kpus_after=wanted.config.kpus)
    new = wanted.release.manifest
    _fits(plan, wanted)
    if running is None:
        plan.changes = changes(None, wanted.config)
        _nothing_else_named(plan, set(), consents)
        return plan
    plan.kpus_before = running.config.kpus if running.application.runs else 0
    plan.changes = changes(running.config, wanted.config)
    plan.action = UPDATE if running.application.runs else START
    if running.application.runs and not plan.changes:
        plan.action, plan.kpus_after = NONE, plan.kpus_before
    if not running.application.runs and not running.snapshots:
        return plan  # it has no state that could be lost
    if running.release is None:
        if UNKNOWN_CODE not in consents.accept:
            plan.refusals.append(
                f"the code of {running.application.name} was not put there by `tillstream deploy`, so which "
                f"operators and states it has is not known: --accept {UNKNOWN_CODE} if a restore of its "
                "state was tried elsewhere"
            )
        return plan
    old = running.release.manifest
    _same_line(plan, old.line, new.line, consents.one_way)
    if old.max_parallelism != new.max_parallelism:
        plan.refusals.append(
            f"max_parallelism would change from {old.max_parallelism} to {new.max_parallelism}, and no "
            f"snapshot restores with another: set job.max_parallelism back to {old.max_parallelism} and "
            "make the package again"
        )
    gone = {uid: name for uid, name in old.operators.items() if uid not in new.operators}
    lost = {name for name in old.state_versions if name not in new.state_versions}
    _may_be_lost(plan, gone, lost, consents)
    for name, at in old.state_versions.items():
        if new.state_versions.get(name, at) < at:
            plan.refusals.append(
                f"state {name} is written in version {at} by what runs, and version "
                f"{new.state_versions[name]} is older: take a package that writes {at} (a newer release, "
                f"or state.write_versions without {name})"
            )
    _nothing_else_named(plan, gone.keys() | lost, consents)
    _same_meaning(plan, running, wanted, consents)
    return plan


def can_read(old: PackageManifest, new: PackageManifest) -> bool:
    """Whether ``old`` restores all of a snapshot that ``new`` has left."""
    lines = [tuple(map(int, one.line.split("."))) for one in (old, new)]
    return (
        lines[0] >= lines[1]
        and old.max_parallelism == new.max_parallelism
        and new.operators.keys() <= old.operators.keys()
        and all(old.state_versions.get(name, -1) >= at for name, at in new.state_versions.items())
    )


def changes(before: Config | None, after: Config) -> list[Change]:
    """Every setting that differs."""
    found = []
    for name in Config.__struct_fields__:
        had = getattr(before, name) if before else None
        has = getattr(after, name)
        if name == "properties":
            found += _properties(had or {}, has)
        elif had != has and (has or before):
            found.append(Change(name.replace("_", " "), _text(had), _text(has)))
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _properties(
    before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]
) -> list[Change]:
    """Values of Kafka's own settings may be secrets, and are not shown."""
    had = {(group, name): value for group, of in before.items() for name, value in of.items()}
    has = {(group, name): value for group, of in after.items() for name, value in of.items()}
    found = []
    for group, name in sorted(had.keys() | has.keys()):
        old, new = had.get((group, name)), has.get((group, name))
        if old != new:
            if ".properties." in name:
                old, new = (old and "(not shown)"), (new and "(not shown)")
            found.append(Change(f"property {name}", old or "", new or ""))
    return found


def _fits(plan: Plan, wanted: Wanted) -> None:
    most, asked = wanted.release.manifest.max_parallelism, wanted.config.parallelism
    if asked > most:
        plan.refusals.append(
            f"parallelism {asked} is above max_parallelism {most}, which never changes once there is a "
            f"snapshot: take {most} or less, or fill a new job by a replay"
        )
    if wanted.config.kpus - 1 > USUAL_KPUS:
        plan.warnings.append(
            f"{wanted.config.kpus - 1} KPUs are more than the {USUAL_KPUS} that an application has unless "
            "AWS has raised its quota"
        )


def _same_line(plan: Plan, old: str, new: str, one_way: bool) -> None:
    before, after = (tuple(map(int, line.split("."))) for line in (old, new))
    if after < before:
        plan.refusals.append(
            f"Flink {old} -> {new}: a snapshot of {old} does not restore on {new}. `tillstream deploy "
            "rollback` goes back to the snapshot from before the update; what came since is read again"
        )
    elif before[0] != after[0] and not one_way:
        plan.refusals.append(
            f"Flink {old} -> {new} is one way: no snapshot taken from then on restores on {old}. Try it "
            "with a copy first, then --one-way"
        )


def _may_be_lost(plan: Plan, gone: dict[str, str], lost: set[str], consents: Consents) -> None:
    for uid, name in sorted(gone.items()):
        plan.dropped.append(uid)
        if uid not in consents.drop_state:
            plan.refusals.append(
                f"operator {name} (uid {uid}) is gone, and its state would be lost: put the uid back "
                f"(tests/jobs/uids.json has those of the last release), or --drop-state {uid}"
            )
    for name in sorted(lost):
        plan.dropped.append(name)
        if name not in consents.drop_state:
            plan.refusals.append(
                f"keyed state {name} is gone, and what it holds would be lost: put it back, or "
                f"--drop-state {name}"
            )


def _nothing_else_named(plan: Plan, gone: Collection[str], consents: Consents) -> None:
    for name in sorted(consents.drop_state - set(gone)):
        plan.refusals.append(
            f"--drop-state {name}: nothing of that name would be dropped: leave it out"
        )


def _same_meaning(plan: Plan, running: Running, wanted: Wanted, consents: Consents) -> None:
    assert running.release is not None
    had = running.release.settings | running.config.properties.get(GROUP, {})
    has = wanted.release.settings | wanted.config.properties.get(GROUP, {})
    for name, why in MEANING.items():
        if had.get(name) == has.get(name) or name in consents.accept:
            continue
        plan.refusals.append(
            f"{name} would change from {had.get(name, 'null')} to {has.get(name, 'null')}: {why}. Set it "
            f"back, or --accept {name} if that is meant"
        )
