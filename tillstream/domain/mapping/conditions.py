"""What must hold of an element: the ``when``, ``record`` and ``skip`` of mappings."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from tillstream.domain.mapping.paths import Path, Scope, text_of
from tillstream.domain.mapping.spec import MappingProblem, When, Where
from tillstream.domain.mapping.trees import compiled

Holds = Callable[[Scope], bool]
WORDS: dict[str, Callable[[list[Any]], bool]] = {
    "present": bool,
    "absent": lambda found: not found,
    "zero": lambda found: all(_number(one) == 0 for one in found),
    "nonzero": lambda found: any(_number(one) != 0 for one in found),
    "negative": lambda found: any((_number(one) or 0) < 0 for one in found),
    "positive": lambda found: any((_number(one) or 0) > 0 for one in found),
}


def holds(when: When, where: Where) -> Holds:
    """Whether all of it is so of an element. A test is one of WORDS, a text, a list of texts, ``{matches:
    regular expression}`` or ``{not: test}``; several at one path are ``{all: [test, ...]}``. Where nothing
    is at the path, only ``absent``, ``zero`` and a ``not`` hold."""
    tests = [(path(at, where), _test(test, (*where, at))) for at, test in when.items()]
    return lambda scope: all(test(_leaves(at.all(scope))) for at, test in tests)


def why_not(when: When, scope: Scope) -> str | None:
    """The first of ``when`` that does not hold, as it is written."""
    for at, test in when.items():
        if not holds({at: test}, ())(scope):
            return f"{at}: {test}"
    return None


def _leaves(found: list[Any]) -> list[Any]:
    return [one for one in found if isinstance(one, dict) or text_of(one)]


def _number(value: Any) -> Decimal | None:
    """A minus may be behind, a decimal comma is a point; None of what is no number."""
    text = (text_of(value) or "").replace(",", ".")
    if text.endswith("-"):
        text = f"-{text[:-1]}"
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _test(said: Any, where: Where) -> Callable[[list[Any]], bool]:
    if isinstance(said, str) and said in WORDS:
        return WORDS[said]
    if isinstance(said, dict):
        if len(said) != 1 or next(iter(said)) not in ("matches", "not", "all"):
            raise MappingProblem(where, "must say one of matches, not, all")
        ((how, inner),) = said.items()
        if how == "all":
            several = [_test(one, where) for one in inner]
            return lambda found: all(test(found) for test in several)
        if how == "not":
            test = _test(inner, where)
            return lambda found: not test(found)
        pattern = compiled(str(inner), where)
        return lambda found: any(pattern.search(text_of(one) or "") for one in found)
    wanted = {text_of(one) for one in (said if isinstance(said, tuple | list) else [said])}
    return lambda found: any(text_of(one) in wanted for one in found)


def path(text: str, where: Where) -> Path:
    """Raises MappingProblem."""
    try:
        return Path(text)
    except ValueError as error:
        raise MappingProblem(where, str(error)) from None
