"""Where settings come from, one layer over the other; each is a nested dict as in the YAML files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tillstream.conf.schema import Conf
from tillstream.errors import Problem

GROUP = "tillstream"  # the property group of an application that holds settings
# What settings were called once.
RENAMED = {
    "inventory.stores": "reference.stores",
    "inventory.centres": "reference.centres",
    "sales.prices": "reference.products",
    "source.kinesis.consumer_name": "deployment: the consumer is <deployment>.<job>",
}


class ConfError(Problem, ValueError):
    """A setting is missing or wrong; the message names the setting."""


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``over`` laid over it, dict by dict; neither is changed."""
    out = dict(base)
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(out.get(name), dict):
            out[name] = merge(out[name], value)
        else:
            out[name] = value
    return out


def read_yaml(path: Path) -> dict[str, Any]:
    """A file of settings, {} when empty. Raises ConfError with file and line."""
    try:
        found = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfError(f"{path}{where}: {getattr(error, 'problem', error)}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfError(f"{path}: settings are names and values, not {type(found).__name__}")
    return found


def read_json(text: str, source: str) -> dict[str, Any]:
    """Settings as a JSON object. Raises ConfError that names ``source``."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfError(f"{source} is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise ConfError(f"{source} must be a JSON object, not {type(found).__name__}")
    return found


def files(folder: Path, environment: str) -> dict[str, Any]:
    """base.yaml, jobs/<job>.yaml as that job's section, then <environment>.yaml."""
    chosen = folder / f"{environment}.yaml"
    if not chosen.exists():
        known = sorted(p.stem for p in folder.glob("*.yaml") if p.stem != "base")
        raise ConfError(
            f"no {chosen.name} in {folder}; known environments: {', '.join(known)}. TILLSTREAM_ENV "
            "or the property `environment` names one"
        )
    out = read_yaml(folder / "base.yaml")
    for file in sorted((folder / "jobs").glob("*.yaml")):
        out = merge(out, {file.stem: read_yaml(file)})
    return merge(out, read_yaml(chosen))


def properties(path: Path) -> dict[str, str]:
    """Property group ``tillstream`` of an application of Amazon's service, {} where there is none.

    Shape: [{"PropertyGroupId": str, "PropertyMap": {name: text}}]. Raises ConfError.
    """
    try:
        groups = json.loads(path.read_text())
        found = [g["PropertyMap"] for g in groups if g["PropertyGroupId"] == GROUP]
    except OSError as error:
        raise ConfError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfError(f"{path} does not hold property groups: {error!r}") from None
    return {name: str(value) for properties in found for name, value in properties.items()}


def nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``{"kafka.properties.security.protocol": "SSL"}`` as nested dicts.

    A name may have dots inside a map of settings; a list may be written ``a,b`` or as JSON. Raises
    ConfError for a name that is no setting.
    """
    out: dict[str, Any] = {}
    for dotted, value in settings.items():
        path, kind = _path(dotted)
        nested: Any = _value(value, kind, dotted)
        for name in reversed(path):
            nested = {name: nested}
        out = merge(out, nested)
    return out


def _path(dotted: str) -> tuple[list[str], Any]:
    """The names on the way to a setting, and its type."""
    kind: Any = msgspec.inspect.type_info(Conf)
    path: list[str] = []
    rest = dotted
    while rest:
        if isinstance(kind, msgspec.inspect.DictType):
            return [*path, rest], kind.value_type
        if not isinstance(kind, msgspec.inspect.StructType):
            raise ConfError(f"{'.'.join(path)} is one value: there is no setting {dotted}")
        name, _, rest = rest.partition(".")
        fields = {field.encode_name: field.type for field in kind.fields}
        if name not in fields:
            raise ConfError(unknown(".".join([*path, name])))
        path.append(name)
        kind = fields[name]
    return path, kind


def _value(value: Any, kind: Any, dotted: str) -> Any:
    """Text as the list or map that its setting is; anything else as it is."""
    if not isinstance(value, str):
        return value
    collections = (msgspec.inspect.ListType, msgspec.inspect.DictType)
    kinds = getattr(kind, "types", (kind,))
    wanted = next((one for one in kinds if isinstance(one, collections)), None)
    if wanted is None:
        return value
    if value.strip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ConfError(f"{dotted} is not JSON ({error})") from None
    if isinstance(wanted, msgspec.inspect.ListType):
        return [part.strip() for part in value.split(",") if part.strip()]
    raise ConfError(f'{dotted} is a map: write {dotted}.NAME=VALUE, or {{"NAME": "VALUE"}}')


def unknown(dotted: str) -> str:
    """What to say of a setting that is not there."""
    if dotted in RENAMED:
        return f"{dotted} is now {RENAMED[dotted]}"
    return f"there is no setting {dotted}: conf/base.yaml and conf/jobs/ list them all"
