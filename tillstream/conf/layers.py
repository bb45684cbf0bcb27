"""Where settings come from, one layer over the other; each is a nested dict as in the YAML files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
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
    "loyalty.cents_per_point": "loyalty.terms.ZAR.per_point, and so for each currency",
    "loyalty.point_value_cents": "loyalty.terms.ZAR.point_value, and so for each currency",
    "demand.utc_offset_minutes": "each store's zone in reference.stores",
    "fraud.clock_ahead_hours": "source.clock_ahead_minutes",
    "source.kinesis.consumer_name": "nothing: shards are polled",
    "source.kinesis.fan_out": "nothing: shards are polled, by intake alone",
}
_CONF: Any = msgspec.inspect.type_info(Conf)
_YAML = "tag:yaml.org,2002:"
_NO_TEXT = {_YAML + name for name in ("bool", "int", "float")}
_NO_SETTING = {_YAML + name for name in ("timestamp", "value")}
ODD_NUMBER = re.compile(r"[^:]*:|[-+]?0[0-9_]+$")  # YAML reads 1:30 as 90, 0130 as 88


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


def read_yaml(path: Path, kind: Any = None) -> dict[str, Any]:
    """A file of settings of ``kind``, {} when empty. Raises ConfError with file and line."""
    found = parse_yaml(_text(path), str(path), kind)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfError(f"{path}: settings are names and values, not {type(found).__name__}")
    return found


def parse_yaml(text: str, source: str, kind: Any) -> Any:
    """What the YAML of a setting of ``kind`` says. Raises ConfError with the place, never a value."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _prepare(node, kind, source)
        return loader.construct_document(node)
    except ConfError:
        raise
    except RecursionError:
        raise ConfError(f"{source} is nested too deeply") from None
    except (yaml.YAMLError, ValueError, AttributeError, KeyError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfError(f"{source}{where}: is not valid YAML") from None


def _prepare(node: yaml.Node, kind: Any, source: str) -> None:
    """Makes a scalar text where its setting is text, and where it only looks like a number: 12:30,
    0120. Raises ConfError for a name that is set twice."""
    if isinstance(node, yaml.ScalarNode):
        text = _member(kind, msgspec.inspect.StrType, msgspec.inspect.LiteralType)
        if (
            node.tag in _NO_TEXT and (text or ODD_NUMBER.match(node.value))
        ) or node.tag in _NO_SETTING:
            node.tag = _YAML + "str"
    elif isinstance(node, yaml.SequenceNode):
        items = _member(kind, msgspec.inspect.ListType)
        for one in node.value:
            _prepare(one, items and items.item_type, source)
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        names, kinds = _names(kind)
        for key, value in node.value:
            _prepare(key, names, source)
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name in seen:
                # Of no known kind, what looks like a name may be part of a secret.
                shown = "a name" if kinds(name) is None else name
                raise ConfError(f"{source}, line {key.start_mark.line + 1}: {shown} is set twice")
            if name is not None:
                seen.add(name)
            _prepare(value, kinds(name), source)


def _member(kind: Any, *wanted: Any) -> Any:
    """The one of ``kind``'s types that is ``wanted``, or None."""
    return next((one for one in getattr(kind, "types", (kind,)) if isinstance(one, wanted)), None)


def _names(kind: Any) -> tuple[Any, Callable[[Any], Any]]:
    """What the names in a section or map are, and what a name's value is; None where not known."""
    if found := _member(kind, msgspec.inspect.DictType):
        return found.key_type, lambda name: found.value_type
    if found := _member(kind, msgspec.inspect.StructType):
        fields = {field.encode_name: field.type for field in found.fields}
        return None, fields.get
    return None, lambda name: None


def settled(value: Any, kind: Any = _CONF) -> Any:
    """All layers together: null removes a name of a map, and empty text is null where that may be."""
    if value == "" and _member(kind, msgspec.inspect.NoneType):
        return None
    if isinstance(value, dict) and isinstance(kind, msgspec.inspect.DictType):
        return {name: one for name, one in value.items() if one is not None}
    if isinstance(value, dict) and isinstance(kind, msgspec.inspect.StructType):
        _, kinds = _names(kind)
        return {name: settled(one, kinds(name)) for name, one in value.items()}
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfError(f"{path} is not UTF-8 (byte {error.start})") from None


def read_json(text: str, source: str) -> dict[str, Any]:
    """Settings as a JSON object. Raises ConfError that names ``source``."""
    found = parse_json(text, source)
    if not isinstance(found, dict):
        raise ConfError(f"{source} must be a JSON object, not {type(found).__name__}")
    return found


def parse_json(text: str, source: str) -> Any:
    """What the JSON says. Raises ConfError with the place, never a value."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise ConfError(f"{source}: {name} is set twice")
            found[name] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except ConfError:
        raise
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfError(f"{source} is not JSON ({place})") from None
    except (ValueError, RecursionError):
        raise ConfError(f"{source} is not JSON, or is nested too deeply") from None


def files(folder: Path, environment: str) -> dict[str, Any]:
    """base.yaml, jobs/<job>.yaml as that job's section, then <environment>.yaml."""
    known = sorted(p.stem for p in folder.glob("*.yaml") if p.stem != "base")
    if environment not in known:  # never base, nor a path
        raise ConfError(
            f"no environment {environment!r} in {folder}; known environments: {', '.join(known)}. "
            "TILLSTREAM_ENV or the property `environment` names one"
        )
    for stray in (*folder.iterdir(), *(folder / "jobs").glob("*")):
        if stray.suffix.lower() in (".yml", ".yaml") and stray.suffix != ".yaml":
            raise ConfError(f"{stray} is not read: call it {stray.stem}.yaml")
    out = read_yaml(folder / "base.yaml", _CONF)
    for file in sorted((folder / "jobs").glob("*.yaml")):
        out = merge(out, {file.stem: read_yaml(file, _names(_CONF)[1](file.stem))})
    return merge(out, read_yaml(folder / f"{environment}.yaml", _CONF))


def properties(path: Path) -> dict[str, str]:
    """Property group ``tillstream`` of an application of Amazon's service, {} where there is none.

    Shape: [{"PropertyGroupId": str, "PropertyMap": {name: text}}]. Raises ConfError.
    """
    wrong = f"{path} does not hold property groups"
    groups = parse_json(_text(path), f"{wrong}: it")
    if not isinstance(groups, list):
        raise ConfError(f"{wrong}: it is not a list")
    out: dict[str, str] = {}
    for number, group in enumerate(groups, start=1):
        named = group.get("PropertyGroupId") if isinstance(group, dict) else None
        if not isinstance(named, str):
            raise ConfError(f"{wrong}: group {number} has no PropertyGroupId")
        if named == GROUP:
            out |= _group(group.get("PropertyMap"), path)
        elif named.strip().lower() == GROUP:
            raise ConfError(f"{path}: the group {named!r} must be called {GROUP!r}")
    return out


def _group(found: Any, path: Path) -> dict[str, str]:
    """The properties of our group."""
    where = f"{path}, group {GROUP}"
    if not isinstance(found, dict):
        raise ConfError(f"{where}: its PropertyMap must be names and values")
    for name, value in found.items():
        if value is None or isinstance(value, list | dict):
            raise ConfError(f"{where}: the value of {name or 'a property'} must be text")
    # A number or true that is no text is taken as JSON writes it.
    return {name: one if isinstance(one, str) else json.dumps(one) for name, one in found.items()}


def override(pair: str) -> tuple[str, Any]:
    """``source.kind=kafka`` as name and value, which is YAML. Raises ConfError."""
    dotted, separator, value = pair.partition("=")
    if not separator or len(dotted.split()) > 1:  # a secret after a space is not to be shown
        raise ConfError("--conf needs KEY=VALUE, e.g. source.kind=kafka")
    return dotted, parse_yaml(value, f"--conf {dotted}", _path(dotted)[1])


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


def flat(settings: Mapping[str, Any], kind: Any = _CONF) -> dict[str, str]:
    """What `nest` reads back: a name with dots for each setting, its value as text or JSON."""
    out: dict[str, str] = {}
    _, kinds = _names(kind)
    for name, value in settings.items():
        inner = kinds(name)
        if isinstance(value, Mapping) and _member(inner, msgspec.inspect.StructType):
            out |= {f"{name}.{rest}": text for rest, text in flat(value, inner).items()}
        else:
            out[name] = value if isinstance(value, str) else json.dumps(value)
    return out


def _path(dotted: str) -> tuple[list[str], Any]:
    """The names on the way to a setting, and its type."""
    if not dotted:
        raise ConfError("a setting has no name: a name is as in conf/base.yaml, e.g. source.kind")
    kind: Any = _CONF
    path: list[str] = []
    rest = dotted
    while rest:
        if isinstance(kind, msgspec.inspect.DictType):
            return [*path, rest], kind.value_type
        if not isinstance(kind, msgspec.inspect.StructType):
            raise ConfError(f"{'.'.join(path)} is one value: there is no setting {dotted}")
        name, _, rest = rest.partition(".")
        path.append(name)
        kind = _names(kind)[1](name)
        if kind is None:
            raise ConfError(unknown(".".join(path)))
    return path, kind


def _value(value: Any, kind: Any, dotted: str) -> Any:
    """Text as the list or map that its setting is, ``null`` as null; anything else as it is."""
    if not isinstance(value, str):
        return value
    if value == "null":
        return None
    wanted = _member(kind, msgspec.inspect.ListType, msgspec.inspect.DictType)
    if wanted is None:
        return value
    if value.strip().startswith(("[", "{")):
        return parse_json(value, dotted)
    if isinstance(wanted, msgspec.inspect.ListType):
        return [part.strip() for part in value.split(",") if part.strip()]
    raise ConfError(f'{dotted} is a map: write {dotted}.NAME=VALUE, or {{"NAME": "VALUE"}}')


def choices(dotted: str) -> list[str]:
    """The words a setting may be."""
    return [str(one) for one in _member(_path(dotted)[1], msgspec.inspect.LiteralType).values]


def unknown(dotted: str) -> str:
    """What to say of a setting that is not there."""
    if dotted in RENAMED:
        return f"{dotted} is now {RENAMED[dotted]}"
    return f"there is no setting {dotted}: conf/base.yaml and conf/jobs/ list them all"
