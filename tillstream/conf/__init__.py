"""Settings: conf/base.yaml and conf/jobs/, then conf/<environment>.yaml, then what the platform says.

The platform's word is the local stack's stack.json (endpoints on free ports) or, on Amazon Managed
Service for Apache Flink, the property group ``tillstream`` of the application.

The environment is said, never guessed: by the caller, by $TILLSTREAM_ENV, by the application's
property ``environment``, or by a local stack in $TILLSTREAM_HOME, which names itself. Where nobody
says one, it is production.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from tillstream.catalog import check_versions, tables, topics
from tillstream.conf import beside, layers
from tillstream.conf.beside import PACKAGED
from tillstream.conf.layers import ConfError, merge, nest, override
from tillstream.conf.schema import LOCAL, Conf

PACKAGE = Path(__file__).resolve().parent.parent
RESOURCES = PACKAGE / "resources"  # conf/ and java/, linked in a clone, copied into the wheel
ROOT = PACKAGE.parent  # of a clone, or where packages are installed
AMSF_PROPERTIES = Path("/etc/flink/application_properties.json")
PRODUCTION = "prod"
STACK_PARTS = ("kafka", "kinesis", "dynamodb", "s3", "flink", "ports", "processes")

__all__ = ["LOCAL", "PACKAGE", "PACKAGED", "RESOURCES", "ROOT", "Conf", "ConfError", "load", "merge",
           "nest", "override"]  # fmt: skip
_PATTERNS = {"deployment": "must be 1 to 41 of A-Z a-z 0-9 _ - and, but not first, a dot"}
NOTICES = ("sms", "alert", "order")


def is_clone() -> bool:
    """Whether this runs from a clone of the repository rather than from an installed wheel."""
    return (ROOT / "setup.py").exists()


def own_folder() -> Path:
    """Where what is built and kept goes by default: <repo>/.tillstream, or ~/.tillstream of a wheel."""
    return (ROOT if is_clone() else Path.home()) / ".tillstream"


def user_cache() -> Path:
    """What all clones of a user share and can be made again: in $XDG_CACHE_HOME, else ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tillstream"


def home() -> Path:
    """Where the local stack keeps its state: $TILLSTREAM_HOME, else ``own_folder``."""
    return Path(os.environ.get("TILLSTREAM_HOME") or own_folder())


def conf_folder() -> Path:
    """Where the YAML files of settings are: $TILLSTREAM_CONF_DIR, else those that come with the package."""
    return Path(os.environ.get("TILLSTREAM_CONF_DIR") or RESOURCES / "conf")


def stack_file() -> Path:
    """The one record of the local stack's endpoints and processes."""
    return home() / "stack" / "stack.json"


def read_stack(file: Path) -> dict[str, Any]:
    """What stack.json says, {} if it is not there or damaged."""
    try:
        found = json.loads(file.read_text())
        whole = all(isinstance(found[part], dict) for part in STACK_PARTS)
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return found if whole else {}


def unsaid() -> bool:
    """Whether nothing here says which environment is meant, so that production's settings apply."""
    platform = AMSF_PROPERTIES.exists() or stack_file().exists()
    return not platform and not os.environ.get("TILLSTREAM_ENV")


def load(
    environment: str | None = None,
    overrides: dict[str, Any] | None = None,
    folder: Path | None = None,
) -> Conf:
    """The settings of ``environment``, see this module's first lines.

    ``overrides`` is a nested dict; so is the JSON in $TILLSTREAM_CONF, which it goes over. ``folder``:
    where the YAML files are, instead of ``conf_folder``.

    Raises ConfError with the path of the wrong setting.
    """
    said = layers.properties(AMSF_PROPERTIES) if AMSF_PROPERTIES.exists() else {}
    named = said.pop("environment", None)
    chosen = environment or os.environ.get("TILLSTREAM_ENV") or named
    # The service's user need have no home to look for a stack in.
    local = not AMSF_PROPERTIES.exists() and stack_file().exists()
    chosen = chosen or (LOCAL if local else PRODUCTION)
    folder = folder or conf_folder()
    merged = layers.files(folder, chosen)
    if chosen == LOCAL and stack_file().exists():
        try:
            merged = merge(merged, endpoints(read_stack(stack_file())))
        except LookupError:
            fix = "`tillstream down`, then `tillstream up`"
            raise ConfError(f"{stack_file()} is damaged: {fix}") from None
    merged = merge(merged, nest(said))
    if text := os.environ.get("TILLSTREAM_CONF"):
        merged = merge(merged, layers.read_json(text, "TILLSTREAM_CONF"))
    merged = merge(merged, overrides or {}) | {"environment": chosen}
    try:
        conf = msgspec.convert(layers.settled(merged), Conf, strict=False)
    except msgspec.ValidationError as error:
        raise ConfError(f"{_named(str(error))} (environment {chosen})") from None
    _check_names(conf)
    _refuse_stand_ins(conf)
    return beside.found(conf, folder)


def _named(problem: str) -> str:
    """msgspec's message with the setting first: ``loyalty.notify: expected bool, got str``."""
    said, _, path = problem.partition(" - at ")
    at = path.replace("`key` in ", "").strip("`$.")
    where = re.sub(r"\[.*?\]", "", at)
    if field := re.search(r"unknown field `(\w+)`", said):
        return layers.unknown(f"{where}.{field[1]}".strip("."))
    if field := re.search(r"missing required field `(\w+)`", said):
        return f"the setting {f'{where}.{field[1]}'.strip('.')} is missing"
    if said.startswith("Invalid enum value"):  # which it shows
        said = f"expected one of {', '.join(layers.choices(where))}"
    if "matching regex" in said:
        said = _PATTERNS.get(where, "must not be empty")
    said = said.replace("`", "").replace("Expected", "expected").replace("Invalid", "invalid")
    where = where or "settings"
    if "`key`" in path:
        where = f"a name in {where}"
    elif at.endswith("]"):
        where = f"a value in {where}"
    return f"{where}: {said}"


def _check_names(conf: Conf) -> None:
    """Raises ConfError for a topic, table, prefix, kind of notice or state that there is not."""
    sections: tuple[tuple[str, Iterable[str], Iterable[str]], ...] = (
        ("kafka.topics", conf.kafka.topics, (one.id for one in topics.ALL)),
        ("dynamodb.tables", conf.dynamodb.tables, (one.id for one in tables.HOT)),
        ("s3.prefixes", conf.s3.prefixes, (one.id for one in tables.HISTORIES)),
        ("infra.warm_tables", conf.infra.warm_tables, (one.id for one in tables.HOT)),
        ("notify.per_second", conf.notify.per_second, NOTICES),
        ("notify.sns_topics", conf.notify.sns_topics, NOTICES),
    )
    for section, named, known in sections:
        ids = list(known)
        for name in named:
            if name not in ids:
                raise ConfError(f"there is no setting {section}.{name}: {', '.join(sorted(ids))}")
    try:
        check_versions(conf.state.write_versions)
    except ValueError as error:
        raise ConfError(str(error)) from None


def _refuse_stand_ins(conf: Conf) -> None:
    """Raises ConfError where something of the local stack would stand in for the real thing."""
    if conf.local:
        return
    reference = msgspec.structs.asdict(conf.reference)
    for setting, used, instead in (
        ("aws.credentials: basic", conf.aws.credentials == "basic", "default"),
        ("notify.sender: file", conf.notify.sender == "file", "sns"),
        *(
            (f"reference.{name}: {PACKAGED}", value == PACKAGED, "a CSV of your own")
            for name, value in reference.items()
        ),
    ):
        if used:
            raise ConfError(
                f"{setting} is for the local stack, and the environment is {conf.environment}: set "
                f"it to {instead}, or TILLSTREAM_ENV=local"
            )


def endpoints(stack: dict[str, Any]) -> dict[str, Any]:
    """stack.json as a layer of settings."""
    bootstrap = stack["kafka"]["bootstrap"]
    return {
        "source": {
            "kinesis": {"endpoint": stack["kinesis"]["endpoint"]},
            "kafka": {"bootstrap": bootstrap},
        },
        "kafka": {"bootstrap": bootstrap},
        "dynamodb": {"endpoint": stack["dynamodb"]["endpoint"]},
        "s3": {"endpoint": stack["s3"]["endpoint"]},
        "notify": {"sns_endpoint": stack["kinesis"]["endpoint"]},
    }
