"""Files that settings name: a grocer's own tables, rules, texts and mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tillstream.conf.schema import Conf, Reference

PACKAGED = "packaged"  # reference data of the simulator, in place of a grocer's file


def files(conf: Conf) -> Iterator[tuple[str, str]]:
    """(setting, path) of each file that is named."""
    for name, value in msgspec.structs.asdict(conf.reference).items():
        if value is not None and value != PACKAGED:
            yield f"reference.{name}", value
    if conf.fraud.rules is not None:
        yield "fraud.rules", conf.fraud.rules
    if conf.fraud.texts is not None:
        yield "fraud.texts", conf.fraud.texts
    yield from (("intake.mappings", one) for one in conf.intake.mappings if _is_file(one))


def found(conf: Conf, folder: Path) -> Conf:
    """The same settings; a relative path that is there in ``folder``, where the settings are, is meant
    so, whichever folder a job is started in. Any other stays as it is."""

    def place(said: str) -> str:
        beside = folder / said  # of an absolute path that path itself
        return str(beside) if beside.is_file() else said

    def maybe(said: str | None) -> str | None:
        return said if said is None or said == PACKAGED else place(said)

    return msgspec.structs.replace(
        conf,
        reference=_each(conf.reference, maybe),
        fraud=msgspec.structs.replace(
            conf.fraud, rules=maybe(conf.fraud.rules), texts=maybe(conf.fraud.texts)
        ),
        intake=msgspec.structs.replace(
            conf.intake,
            mappings=[place(one) if _is_file(one) else one for one in conf.intake.mappings],
        ),
    )


def _each(section: Reference, change: Callable[[str | None], str | None]) -> Reference:
    values = msgspec.structs.asdict(section)
    return msgspec.structs.replace(section, **{k: change(v) for k, v in values.items()})


def _is_file(mapping: str) -> bool:
    """Whether it is a file's path, not the name of a mapping that comes with the package."""
    return mapping.endswith((".yaml", ".yml"))
