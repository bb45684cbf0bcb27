"""Tables that jobs are given at their start: where stores and distribution centres are."""

from __future__ import annotations

import csv
from pathlib import Path

from tillstream.conf import PACKAGE, Conf, ConfError
from tillstream.domain.stock.network import Neighbours, Place, neighbours

PACKAGED = PACKAGE / "sim" / "data"


def places(conf: Conf) -> tuple[list[Place], list[Place]]:
    """(stores, distribution centres). Raises ConfError that names the file and what is wrong."""
    settings = conf.inventory
    return (
        _read(Path(settings.stores or PACKAGED / "stores.csv"), "store"),
        _read(Path(settings.centres or PACKAGED / "centres.csv"), "centre"),
    )


def network(conf: Conf) -> dict[int, Neighbours]:
    """For each store the centres to ask and the stores nearby."""
    stores, centres = places(conf)
    settings = conf.inventory
    return neighbours(
        stores, centres, settings.nearby_km, settings.nearby_stores, settings.centres_asked
    )


def price_list(conf: Conf) -> dict[str, int]:
    """Product to its list price in cents. Raises ConfError that names the file."""
    path = Path(conf.sales.prices or PACKAGED / "products.csv")
    try:
        with path.open(newline="") as file:
            return {row["product"]: int(row["unit_price_cents"]) for row in csv.DictReader(file)}
    except OSError as error:
        raise ConfError(f"sales.prices: {path} cannot be read: {error.strerror}") from None
    except (KeyError, ValueError) as error:
        wanted = "product, unit_price_cents"
        raise ConfError(f"sales.prices: {path} needs the columns {wanted}: {error}") from None


def _read(path: Path, number: str) -> list[Place]:
    try:
        with path.open(newline="") as file:
            return [
                Place(
                    int(row[number]),
                    row["name"],
                    row["country"],
                    float(row["lat"]),
                    float(row["lon"]),
                )
                for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise ConfError(f"inventory: {path} cannot be read: {error.strerror}") from None
    except (KeyError, ValueError) as error:
        wanted = f"{number}, name, country, lat, lon"
        raise ConfError(f"inventory: {path} needs the columns {wanted}: {error}") from None
