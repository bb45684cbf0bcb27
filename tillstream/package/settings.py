"""The settings of one environment as they go into the zip, checked as the service will read them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tillstream import conf as settings
from tillstream import flink_line
from tillstream.catalog.entry import Job
from tillstream.conf import LOCAL, RESOURCES, Conf, beside
from tillstream.errors import Problem, Problems

MARK = re.compile(r"#\s*replace:")  # of a line whose value the grocer has to say
MOST_PROPERTIES = 50  # of a group, as the service takes it
LONGEST_PROPERTY = 2048
NO_ACCOUNT = "000000000000"


class Packed(NamedTuple):
    """conf: what a job of the zip will go by. folder: its files. properties: of the group ``tillstream``."""

    conf: Conf
    folder: Path
    properties: dict[str, str]


def pack(environment: str, pairs: tuple[str, ...], folder: Path) -> Packed:
    """Copies into ``folder`` what ``environment`` needs of the settings: base.yaml, jobs/, its own file, our
    mappings, and what those name. pairs: KEY=VALUE each, which go over them.

    Raises Problem where the service could not run by them; every one says what to do.
    """
    if environment == LOCAL:
        raise Problem("local is the local stack's environment: --env names one of your own")
    if os.environ.get("TILLSTREAM_CONF"):
        raise Problem(
            "TILLSTREAM_CONF is set, and the service has no environment variables: use --conf KEY=VALUE"
        )
    properties = _properties(environment, pairs)
    overrides = settings.nest({k: v for k, v in properties.items() if k != "environment"})
    source, folder = settings.conf_folder().resolve(), folder.resolve()
    read = settings.load(environment, overrides)
    own = [source / "base.yaml", *sorted((source / "jobs").glob("*.yaml"))]
    own.append(source / f"{environment}.yaml")
    _refuse_marks(own)
    named = [Path(path).resolve() for _, path in beside.files(read)]
    inside = [path for path in named if path.is_file() and path.is_relative_to(source)]
    for file in (*own, *inside):
        _copy(file, folder / file.relative_to(source))
    for file in sorted((RESOURCES / "conf" / "mappings").glob("*.yaml")):
        _copy(file, folder / "mappings" / file.name)
    conf = settings.load(environment, overrides, folder)
    lost = [
        (name, path)
        for name, path in beside.files(conf)
        if not (Path(path).is_file() and Path(path).resolve().is_relative_to(folder))
    ]
    if lost:
        raise Problems(
            [
                f"{name}: {path} is not named by its path in {source}, where the settings are: put it there, "
                f"and set {name}: {_inner(Path(path), source)}"
                for name, path in lost
            ]
        )
    return Packed(conf, folder, properties)


def must_suit(job: Job, conf: Conf) -> None:
    """Raises Problems for what the job needs and nobody has set, and for another line of Flink than ours."""
    found = []
    line = flink_line.installed().name
    if conf.infra.flink != line:
        found.append(
            f"infra.flink is {conf.infra.flink}, and this environment has Flink {line} (`bin/setup --flink "
            f'{conf.infra.flink}` makes the other): set it to "{line}"'
        )
    if not conf.kafka.bootstrap:
        found.append("kafka.bootstrap is not set: name your brokers")
    tills = conf.source
    if job.raw and tills.kind == "kinesis" and tills.kinesis.account == NO_ACCOUNT:
        found.append("source.kinesis.account is not set: name your AWS account")
    if job.raw and tills.kind == "kafka" and not tills.kafka.bootstrap:
        found.append("source.kafka.bootstrap is not set: name the brokers of what tills send")
    if found:
        where = f"conf/{conf.environment}.yaml"
        raise Problems([f"{one} in {where}, or with --conf" for one in found])


def marks(file: Path) -> list[tuple[int, str]]:
    """(line, setting) of each that is marked as one to replace."""
    text = file.read_text(encoding="utf-8-sig")
    lines = {n for n, line in enumerate(text.splitlines()) if MARK.search(line)}
    node = yaml.compose(text, yaml.SafeLoader) if lines else None
    return [(line + 1, name) for line, name in _keys(node) if line in lines]


def _keys(node: Any, above: str = "") -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{above}.{key.value}".strip(".")
            yield key.start_mark.line, name
            yield from _keys(value, name)


def _refuse_marks(files: list[Path]) -> None:
    found = [
        f"{file}, line {line}: {name} is still an example: set it to your own, and take the comment "
        "`replace:` away"
        for file in files
        for line, name in marks(file)
    ]
    if found:
        raise Problems(found)


def _properties(environment: str, pairs: tuple[str, ...]) -> dict[str, str]:
    """The property group. Raises Problem for what is no setting, or what the service does not take."""
    found = {"environment": environment}
    for pair in pairs:
        dotted, _ = settings.override(pair)
        found[dotted] = pair.partition("=")[2]
    long = [name for name, text in found.items() if not 0 < len(text) <= LONGEST_PROPERTY]
    if long or len(found) > MOST_PROPERTIES:
        raise Problem(
            f"the service takes {MOST_PROPERTIES} properties of 1 to {LONGEST_PROPERTY} characters "
            f"({', '.join(long) or f'these are {len(found)}'}): set them in conf/{environment}.yaml"
        )
    return found


def _inner(path: Path, source: Path) -> str:
    inner = path.relative_to(source) if path.is_relative_to(source) else Path(path.name)
    return inner.as_posix()


def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)
