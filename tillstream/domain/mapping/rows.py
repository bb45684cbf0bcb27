"""CSV as groups of rows: which rows are one receipt, and what becomes of those that are spoilt."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tillstream.domain.mapping.faults import ESCAPED, FAULT, lenient
from tillstream.domain.transaction import InvalidTransaction

Header = int | Sequence[str] | None
_SEP = re.compile(r'"?sep=(?P<sign>[^\r\n])"?[\r\n]*')
_QUOTES = {"unexpected end of data": "a quote that is opened there is never closed"}


class OtherColumns(InvalidTransaction):
    """``not_csv`` of a file that has not the columns of the mapping, so may be another's."""


def csv_groups(
    raw: bytes, delimiter: str, encoding: str, by: Sequence[str], header: Header = None
) -> Iterator[dict[str, Any]]:
    """Rows that have the same values in the columns ``by`` are one document, wherever they are: tills that
    write into one file take turns. header: the line with the names of the columns, from 1, else the first; or
    the names, of a file that does not say them. What a first line ``sep=;`` says goes before ``delimiter``.

    A row that cannot be used has a FAULT, and is in the group it belongs to: by its columns ``by``, counted
    from the left, or from the right as far as they are there. One that seems to have no such columns is in
    those of the rows before and after it, for it may be a part of either; a title, which has one cell, is
    not."""
    lines = list(io.StringIO(lenient(raw, encoding), newline=""))
    before = 0
    if lines and (sep := _SEP.fullmatch(lines[0])):
        delimiter, before = sep["sign"], 1
    if isinstance(header, int):
        before = header - 1
    rows = _rows(lines, before, delimiter)
    if header is None or isinstance(header, int):
        number, names = next(rows, (before + 1, []))
        if missing := [name for name in by if names.count(name) != 1]:
            count = "several columns" if missing[0] in names else "no column"
            raise OtherColumns("not_csv", f"line {number} has {count} {missing[0]}")
        named = True
    else:
        names, named = list(header), False
    columns = [name if name.strip() else f"column {n}" for n, name in enumerate(names, 1)]
    at = [columns.index(name) for name in by]
    found = [
        (line, row, _row_fault(row, len(columns))) for line, row in rows if any(map(str.strip, row))
    ]
    keys = [None if fault else tuple(row[n] for n in at) for _, row, fault in found]
    if found and not any(key is not None for key in keys) and not named:
        raise OtherColumns("not_csv", f"no row has {len(columns)} fields")
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    twice = len(set(columns)) < len(columns)
    for (line, row, fault), of in zip(found, _keys(found, keys, at, len(columns)), strict=True):
        one = _by_names(columns, row) if fault or twice else dict(zip(columns, row, strict=True))
        if fault:
            one[FAULT] = f"{fault}, line {line}"
        for key in of:
            groups.setdefault(key, []).append(one)
    for group in groups.values():
        yield {"rows": group}


def _keys(
    found: Sequence[tuple[int, list[str], str | None]],
    keys: Sequence[tuple[str, ...] | None],
    at: Sequence[int],
    fields: int,
) -> list[list[tuple[str, ...]]]:
    """``keys`` with those of rows that have a fault, which may be several: see `csv_groups`."""
    good = set(keys)
    shapes = {_shape(key) for key in good if key} if None in good else set()
    before: tuple[str, ...] | None = None
    whole: list[list[tuple[str, ...]]] = []
    after: list[tuple[str, ...] | None] = [None]
    for key in reversed(keys):
        after.append(after[-1] if key is None else key)
    after.reverse()
    for n, ((_, row, _), key) in enumerate(zip(found, keys, strict=True)):
        if key is None:
            left = tuple(row[m] if m < len(row) else "" for m in at)
            right = tuple(row[m - fields] if fields - m <= len(row) else "" for m in at)
            known = [one for one in (left, right) if one in good][:1]
            around = list({one: None for one in (before, after[n]) if one is not None})
            ends = [m for m, value in enumerate(right) if value.strip()]
            cut = [one for one in around if ends and all(one[m] == right[m] for m in ends)]
            title = _cells(row) < 2 and before != after[n]
            own = title or _shape(left) in shapes
            whole.append(known or cut or ([left] if own else around) or [left])
        else:
            before = key
            whole.append([key])
    return whole


def is_spoilt(tree: Any) -> bool:
    """Whether a row of a group has a FAULT."""
    rows = tree.get("rows") if isinstance(tree, dict) else None
    return isinstance(rows, list) and any(isinstance(r, dict) and FAULT in r for r in rows)


def _shape(key: Sequence[str]) -> tuple[str, ...]:
    """A key's values but for which digits and letters are in them."""
    return tuple(re.sub("[^\\W0-9_]+", "a", re.sub("[0-9]+", "0", one.strip())) for one in key)


def _cells(row: Sequence[str]) -> int:
    return sum(map(bool, map(str.strip, row)))


def has_columns(tree: Any, by: Sequence[str]) -> bool:
    """Whether the rows of a group that came back by itself are of a mapping that groups ``by``: but for those
    with a FAULT, which may be cut."""
    rows = tree.get("rows") if isinstance(tree, dict) else None
    return not isinstance(rows, list) or all(
        FAULT in row or all(name in row for name in by) for row in rows if isinstance(row, dict)
    )


def regrouped(tree: Any, by: Sequence[str]) -> list[Any]:
    """Of a group that came back by itself, the groups that it is by today's ``by``."""
    rows = tree.get("rows") if isinstance(tree, dict) and len(tree) == 1 else None
    if not isinstance(rows, list) or not all(isinstance(r, dict) and FAULT not in r for r in rows):
        return [tree]
    groups: dict[tuple[str, ...], list[Any]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row.get(name, "")) for name in by), []).append(row)
    return [{"rows": group} for group in groups.values()]


def _rows(lines: list[str], before: int, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row, with the line it begins in. Raises InvalidTransaction."""
    reader = csv.reader(lines[before:], delimiter=delimiter, strict=True)
    begins, fields = before + 1, 0
    try:
        for row in reader:
            fields = fields or len(row)
            ends = before + reader.line_num
            if ends > begins and any(
                _swallowed(cell, at, delimiter, fields) for at, cell in enumerate(row)
            ):
                what = "a quote that is opened there is closed in another row"
                raise InvalidTransaction("not_csv", f"line {begins}: {what}")
            yield begins, row
            begins = ends + 1
    except csv.Error as error:
        what = _QUOTES.get(str(error), "a text goes on behind its quotes")
        if "limit" in str(error):
            what = "a field is too long, or a quote is not closed"
        raise InvalidTransaction("not_csv", f"line {begins}: {what}") from None


def _swallowed(cell: str, at: int, delimiter: str, fields: int) -> bool:
    """Whether a cell of several lines is the end of a row and the beginning of another, as far as its own
    column ``at``: of two rows with a quote that is not closed, the second quote closes the first."""
    lines = re.split(r"\r\n|\r|\n", cell)
    if len(lines) < 2 or fields <= 3:
        return False
    first, last = lines[0].count(delimiter), lines[-1].count(delimiter)
    return (first, last) == (fields - 1 - at, at)


def _row_fault(row: Sequence[str], fields: int) -> str | None:
    if any(not cell.isascii() and ESCAPED.search(cell) for cell in row):
        return "not_text"
    return None if len(row) == fields else "not_csv"


def _by_names(columns: Sequence[str], row: Sequence[str]) -> dict[str, Any]:
    """Cells by their columns' names, those of no column by their number; several of one name are a list."""
    found: dict[str, Any] = {}
    for at, cell in enumerate(row):
        name = columns[at] if at < len(columns) else f"column {at + 1}"
        before = found.get(name)
        if before is None:
            found[name] = cell
        elif isinstance(before, list):
            before.append(cell)
        else:
            found[name] = [before, cell]
    return found


def alike(row: Any, other: Any, names: Iterable[str]) -> bool:
    """Whether two rows have the same columns, and in ``names`` the same."""
    return (
        isinstance(row, dict)
        and isinstance(other, dict)
        and row.keys() == other.keys()
        and all(row.get(name) == other.get(name) for name in names)
    )
