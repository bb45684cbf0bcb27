"""What must hold of an element: the ``when``, ``record`` and ``skip`` of mappings."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tillstream.domain.mapping.forms import Numbers
from tillstream.domain.mapping.paths import Path, Scope, is_blank, is_nil, text_of
from tillstream.domain.mapping.spec import MappingProblem, When, Where
from tillstream.domain.mapping.trees import compiled

Holds = Callable[[Scope], bool]
WORDS: dict[str, Callable[[list[Any]], bool]] = {
    "present": bool,
    "absent": lambda found: not found,
}
ON_NUMBERS: dict[str, Callable[[list[Decimal]], bool]] = {
    "zero": lambda found: not any(found),
    "nonzero": any,
    "negative": lambda found: any(one < 0 for one in found),
    "positive": lambda found: any(one > 0 for one in found),
}


def holds(when: When, where: Where, numbers: Numbers) -> Holds:
    """Whether all of it is so of an element. A test is one of WORDS or ON_NUMBERS, a text, a list of texts,
    ``{matches: regular expression}`` or ``{not: test}``; several at one path are ``{all: [test, ...]}``.
    Where nothing is at the path, only ``absent``, ``zero`` and a ``not`` hold. What is returned raises
    ValueError if a value that is compared as a number is not written as ``numbers`` has it: else a line of
    which nobody knows the sign would be left out silently."""
    tests = [(path(at, where), _test(test, (*where, at), numbers)) for at, test in when.items()]

    def all_of_it(scope: Scope) -> bool:
        for at, test in tests:
            try:
                if not test(_leaves(at.all(scope))):
                    return False
            except ValueError as error:
                raise ValueError(f"is chosen by {at.text}, which {error}") from None
        return True

    return all_of_it


def known_by(when: When, where: Where, numbers: Numbers) -> Holds:
    """The same for choosing among formats: what cannot be compared is not so."""
    surely = holds(when, where, numbers)

    def known(scope: Scope) -> bool:
        try:
            return surely(scope)
        except ValueError:
            return False

    return known


def why_not(when: When, scope: Scope, numbers: Numbers) -> str | None:
    """The first of ``when`` that does not hold, as it is written."""
    for at, test in when.items():
        if not known_by({at: test}, (), numbers)(scope):
            return f"{at}: {test}"
    return None


def _leaves(found: list[Any]) -> list[Any]:
    return [one for one in found if (isinstance(one, dict) and not is_nil(one)) or text_of(one)]


def _test(said: Any, where: Where, numbers: Numbers) -> Callable[[list[Any]], bool]:
    if isinstance(said, str) and said in WORDS:
        return WORDS[said]
    if isinstance(said, str) and said in ON_NUMBERS:
        compare = ON_NUMBERS[said]
        return lambda found: compare([numbers.read(text) for text in map(_leaf, found) if text])
    if isinstance(said, dict):
        if len(said) != 1 or next(iter(said)) not in ("matches", "not", "all"):
            raise MappingProblem(where, "must say one of matches, not, all")
        ((how, inner),) = said.items()
        if how == "all":
            several = [_test(one, where, numbers) for one in inner]
            return lambda found: all(test(found) for test in several)
        if how == "not":
            test = _test(inner, where, numbers)
            return lambda found: not test(found)
        pattern = compiled(str(inner), where)
        return lambda found: any(pattern.search(text_of(one) or "") for one in found)
    wanted = {text_of(one) for one in (said if isinstance(said, tuple | list) else [said])}
    return lambda found: any(text_of(one) in wanted for one in found)


def _leaf(found: Any) -> Any:
    """Its text, a number as it is. Raises ValueError of an object."""
    if isinstance(found, Decimal | int) and not isinstance(found, bool):
        return found
    text = text_of(found)
    if text is None and not is_blank(found):
        raise ValueError("is no single value")
    return text


def path(text: str, where: Where) -> Path:
    """Raises MappingProblem."""
    try:
        return Path(text)
    except ValueError as error:
        raise MappingProblem(where, str(error)) from None
