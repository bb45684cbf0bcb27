"""Tables of every command: a name, an id, a state or a reason is never cut.

On a terminal a table that is too wide gives way in steps: prose wraps in its column, what matters least
is left out, ids and places go to a line below their row, and if that is still too wide each record
becomes a block of its own. In a pipe or a file each record is one line, however long.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.text import Text

GAP = 2
UNLIMITED = 1_000_000  # columns of an output that is no terminal
MIN_PROSE = 16

Cell = str | Text


def console(stderr: bool = False) -> Console:
    """Colours and width of a terminal; without one, lines as long as they need to be."""
    out = Console(stderr=stderr, highlight=False)
    return out if out.is_terminal else Console(stderr=stderr, highlight=False, width=UNLIMITED)


@dataclass(frozen=True)
class Column:
    """``below``: may go to a line of its own (ids, places). ``prose``: may wrap (reasons, causes).
    ``least``: may be left out, for what another column says as well."""

    name: str
    right: bool = False
    below: bool = False
    prose: bool = False
    least: bool = False


class Table:
    """Rows under ``columns``; a plain name is a column that stays where it is."""

    def __init__(self, *columns: Column | str, title: str = "") -> None:
        self.columns = [Column(c) if isinstance(c, str) else c for c in columns]
        self.title = title
        self.rows: list[list[Text]] = []

    def add(self, *cells: Cell, style: str = "") -> None:
        """One row; line breaks become spaces. ``style``: of all its cells."""
        row = [
            Text(" ".join(cell.split("\n")), style) if isinstance(cell, str) else cell
            for cell in cells
        ]
        assert len(row) == len(self.columns), f"{len(row)} cells in {len(self.columns)} columns"
        self.rows.append(row)

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield from self.lines(options.max_width)

    def lines(self, width: int) -> Iterator[Text]:
        """The table in lines of at most ``width``, but for single words that are longer."""
        if self.title:
            yield Text(self.title, "italic")
        columns = range(len(self.columns))
        prose = [n for n in columns if self.columns[n].prose]
        ids = [n for n in columns if self.columns[n].below]
        least = [n for n in columns if self.columns[n].least]
        for out, below in (([], []), (least, []), (least, ids), (least, sorted(ids + prose))):
            kept = [n for n in columns if n not in below and n not in out]
            widths = {n: self._width(n) for n in kept}
            spare = width - sum(widths.values()) - GAP * (len(kept) - 1)
            if spare < 0 and (wrapped := next((n for n in prose if n in kept), None)) is not None:
                room = widths[wrapped] + spare
                if room >= max(self._longest_word(wrapped), MIN_PROSE):
                    widths[wrapped], spare = room, 0
            if spare >= 0:
                yield from self._table(widths, below, width)
                return
        yield from self._blocks(width)

    def _width(self, n: int) -> int:
        return max(cell_len(self.columns[n].name), *(row[n].cell_len for row in self.rows), 0)

    def _longest_word(self, n: int) -> int:
        return max((cell_len(w) for row in self.rows for w in row[n].plain.split()), default=0)

    def _table(self, widths: dict[int, int], below: list[int], width: int) -> Iterator[Text]:
        head = [Text(column.name, "bold") for column in self.columns]
        yield from self._row(head, widths)
        for row in self.rows:
            yield from self._row(row, widths)
            for n in below:
                if row[n].plain:
                    yield from _labelled(f"  {self.columns[n].name} ", row[n], width)

    def _row(self, row: list[Text], widths: dict[int, int]) -> Iterator[Text]:
        cells = {n: _wrapped(row[n], room) for n, room in widths.items()}
        for at in range(max(len(parts) for parts in cells.values())):
            line = Text()
            for n, parts in cells.items():
                part = parts[at] if at < len(parts) else Text()
                pad = " " * (widths[n] - part.cell_len)
                line.append_text(Text(pad) + part if self.columns[n].right else part + Text(pad))
                line.append(" " * GAP)
            line.rstrip()
            yield line

    def _blocks(self, width: int) -> Iterator[Text]:
        room = max(cell_len(column.name) for column in self.columns) + GAP
        for number, row in enumerate(self.rows):
            if number:
                yield Text()
            for column, cell in zip(self.columns, row, strict=True):
                if cell.plain:
                    yield from _labelled(f"{column.name:<{room}}", cell, width)


def _labelled(label: str, cell: Text, width: int) -> Iterator[Text]:
    """``label value``, the value wrapped under itself."""
    indent = cell_len(label)
    for number, part in enumerate(_wrapped(cell, max(width - indent, MIN_PROSE))):
        yield (Text(label, "dim") if number == 0 else Text(" " * indent)) + part


def _wrapped(cell: Text, room: int) -> list[Text]:
    """Lines of at most ``room``, broken at spaces; a longer word stays whole, so that it can be copied."""
    if cell.cell_len <= room:
        return [cell]
    parts = textwrap.wrap(cell.plain, room, break_long_words=False, break_on_hyphens=False)
    return [Text(part, cell.style) for part in parts]


def say(text: str, to: Console | None = None) -> None:
    """A sentence, wrapped at spaces on a terminal, in one line elsewhere."""
    out = to or console()
    for line in text.split("\n"):
        for part in _wrapped(Text(line), out.width):
            out.print(part, soft_wrap=True)


def show(table: Table, to: Console | None = None) -> None:
    """Prints it; a word longer than the terminal is left to the terminal to fold."""
    (to or console()).print(table, soft_wrap=True)
