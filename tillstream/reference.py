"""Tables that jobs are given at their start: where stores and distribution centres are."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tillstream.conf import PACKAGE, PACKAGED, Conf, ConfError
from tillstream.domain import fraud
from tillstream.domain.stock.network import Neighbours, Place, neighbours

PACKAGES_OWN = PACKAGE / "sim" / "data"  # invented, for the local stack


def places(conf: Conf) -> tuple[list[Place], list[Place]]:
    """(stores, distribution centres). Raises ConfError that names the file and what is wrong."""
    return (
        _read(_file(conf, "stores"), "store"),
        _read(_file(conf, "centres"), "centre"),
    )


def network(conf: Conf) -> dict[int, Neighbours]:
    """For each store the centres to ask and the stores nearby."""
    stores, centres = places(conf)
    settings = conf.inventory
    return neighbours(
        stores, centres, settings.nearby_km, settings.nearby_stores, settings.centres_asked
    )


def clocks(conf: Conf) -> dict[int, fraud.Place]:
    """Where each store is and what its clock shows. Raises ConfError that names the file."""
    with _opened(_file(conf, "stores")) as lines:
        return fraud.read_places(lines)


def packaged_clocks() -> dict[int, fraud.Place]:
    """The same of the invented stores that come with the package."""
    with (PACKAGES_OWN / "stores.csv").open(newline="", encoding="utf-8") as opened:
        return fraud.read_places(opened)


def price_list(conf: Conf) -> dict[str, int]:
    """Product to its list price in cents. Raises ConfError that names the file."""
    columns = {"product": str, "unit_price_cents": int}
    rows = _rows(_file(conf, "products"), columns)
    return {row["product"]: row["unit_price_cents"] for row in rows}


def _file(conf: Conf, name: str) -> tuple[str, Path]:
    """Setting and path of a table. Raises ConfError where it is not set."""
    said = getattr(conf.reference, name)
    if said is None:
        raise ConfError(
            f"reference.{name} is not set: name the CSV of your {name} (conf/base.yaml lists its columns)"
        )
    return f"reference.{name}", PACKAGES_OWN / f"{name}.csv" if said == PACKAGED else Path(said)


def _read(file: tuple[str, Path], number: str) -> list[Place]:
    columns = {number: int, "name": str, "country": str, "lat": float, "lon": float}
    return [Place(*row.values()) for row in _rows(file, columns)]


def _rows(file: tuple[str, Path], columns: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a CSV, each of ``columns`` as its type. Raises ConfError that names the file."""
    with _opened(file) as lines:
        for row in csv.DictReader(lines):
            try:
                yield {name: kind(row[name]) for name, kind in columns.items()}
            except (KeyError, ValueError) as error:
                raise ValueError(f"needs the columns {', '.join(columns)}: {error}") from None


@contextmanager
def _opened(file: tuple[str, Path]) -> Iterator[TextIO]:
    """Raises ConfError that names the file, for a ValueError as well."""
    setting, path = file
    try:
        with path.open(newline="", encoding="utf-8") as opened:
            yield opened
    except OSError as error:
        raise ConfError(f"{setting}: {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfError(f"{setting}: {path}: {error}") from None
