"""Makes stores.csv and products.csv: run once, with its results checked in.

    python -m tillstream.sim.data.make_tables

Invented throughout: places are real, stores and products are not. Positions are scattered around a
region's towns by a few km; prices are in cents. GTINs use the in-store prefix 2, so that none is a
real product's.
"""

# ruff: noqa: E501 - the table reads best with a region a line

from __future__ import annotations

import csv
from pathlib import Path
from random import Random

HERE = Path(__file__).parent

# region, country, currency, stores, towns with latitude and longitude in degrees
REGIONS = [
    ("gauteng", "ZA", "ZAR", 680, [("Johannesburg", -26.20, 28.05), ("Pretoria", -25.75, 28.19), ("Soweto", -26.27, 27.86)]),
    ("western-cape", "ZA", "ZAR", 470, [("Cape Town", -33.93, 18.45), ("George", -33.96, 22.46), ("Paarl", -33.73, 18.97)]),
    ("kwazulu-natal", "ZA", "ZAR", 430, [("Durban", -29.85, 31.00), ("Pietermaritzburg", -29.60, 30.38), ("Newcastle", -27.76, 29.93)]),
    ("eastern-cape", "ZA", "ZAR", 290, [("Gqeberha", -33.92, 25.57), ("East London", -33.00, 27.88), ("Mthatha", -31.59, 28.78)]),
    ("limpopo", "ZA", "ZAR", 190, [("Polokwane", -23.90, 29.45), ("Thohoyandou", -22.95, 30.48)]),
    ("mpumalanga", "ZA", "ZAR", 180, [("Mbombela", -25.47, 30.97), ("Emalahleni", -25.87, 29.23)]),
    ("north-west", "ZA", "ZAR", 140, [("Rustenburg", -25.67, 27.24), ("Mahikeng", -25.85, 25.64)]),
    ("free-state", "ZA", "ZAR", 130, [("Bloemfontein", -29.12, 26.21), ("Welkom", -27.98, 26.73)]),
    ("northern-cape", "ZA", "ZAR", 70, [("Kimberley", -28.74, 24.76), ("Upington", -28.45, 21.26)]),
    ("namibia", "NA", "NAD", 90, [("Windhoek", -22.56, 17.08), ("Swakopmund", -22.66, 14.56)]),
    ("botswana", "BW", "BWP", 60, [("Gaborone", -24.65, 25.91), ("Francistown", -21.17, 27.51)]),
    ("zambia", "ZM", "ZMW", 60, [("Lusaka", -15.42, 28.28), ("Ndola", -12.97, 28.64)]),
    ("angola", "AO", "AOA", 35, [("Luanda", -8.90, 13.30), ("Benguela", -12.60, 13.44)]),
    ("mozambique", "MZ", "MZN", 30, [("Maputo", -25.93, 32.55), ("Beira", -19.80, 34.88)]),
    ("eswatini", "SZ", "SZL", 20, [("Mbabane", -26.32, 31.14)]),
    ("lesotho", "LS", "LSL", 15, [("Maseru", -29.32, 27.50)]),
    ("malawi", "MW", "MWK", 10, [("Lilongwe", -13.97, 33.79)]),
]  # fmt: skip

# No clock there changes in summer; Luanda is an hour behind the others.
ZONES = {
    "ZA": "Africa/Johannesburg",
    "NA": "Africa/Windhoek",
    "BW": "Africa/Gaborone",
    "ZM": "Africa/Lusaka",
    "AO": "Africa/Luanda",
    "MZ": "Africa/Maputo",
    "SZ": "Africa/Mbabane",
    "LS": "Africa/Maseru",
    "MW": "Africa/Blantyre",
}
# Stores whose town examples rely on.
TOWNS = {23: "Cape Town", 156: "Durban"}

# category, products, cheapest and dearest in cents, words to name them by
CATEGORIES = [
    ("bakery", 40, 899, 6999, "Bread Rolls Buns Rusks Muffins Scones"),
    ("dairy", 45, 1199, 11999, "Milk Maas Yoghurt Cheese Butter Cream"),
    ("meat", 45, 4999, 24999, "Chicken Beef Boerewors Lamb Mince Pork"),
    ("fruit-and-veg", 50, 899, 7999, "Potatoes Onions Tomatoes Apples Bananas Spinach"),
    ("groceries", 80, 1299, 17999, "Maize-meal Rice Sugar Oil Flour Beans Pasta"),
    ("beverages", 45, 999, 14999, "Cola Juice Rooibos Coffee Water Cordial"),
    ("frozen-food", 35, 2999, 15999, "Fish-fingers Chips Peas Pies Ice-cream"),
    ("snacks", 40, 799, 6999, "Crisps Biscuits Chocolate Peanuts Biltong"),
    ("household", 45, 1499, 19999, "Soap-powder Bleach Candles Dishwash Foil"),
    ("health-and-beauty", 35, 1999, 17999, "Toothpaste Shampoo Soap Lotion Razors"),
    ("baby", 20, 2499, 29999, "Nappies Formula Wipes Porridge"),
    ("pet-food", 15, 1999, 29999, "Dog-food Cat-food Bird-seed"),
    ("gift-cards", 5, 5000, 50000, "Gift-card"),
]


def stores(rng: Random) -> list[list[object]]:
    rows: list[tuple[str, str, str, str, float, float]] = []
    for region, country, currency, count, towns in REGIONS:
        for n in range(count):
            town, lat, lon = towns[min(int(rng.expovariate(1.2)), len(towns) - 1)]
            at = round(lat + rng.gauss(0, 0.06), 4), round(lon + rng.gauss(0, 0.06), 4)
            rows.append((f"{town} {n + 1}", region, country, currency, *at))
    rng.shuffle(rows)
    for number, town in TOWNS.items():
        if not rows[number - 1][0].startswith(town):
            other = next(
                n for n, row in enumerate(rows) if n + 1 not in TOWNS and row[0].startswith(town)
            )
            rows[number - 1], rows[other] = rows[other], rows[number - 1]
    return [[number, *row, ZONES[row[2]]] for number, row in enumerate(rows, start=1)]


def gtin13(number: int) -> str:
    """With the in-store prefix 2 and the right check digit."""
    digits = f"2{number:011d}"
    total = sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits))
    return digits + str(-total % 10)


def products(rng: Random) -> list[list[object]]:
    rows: list[list[object]] = []
    for category, count, low, high, words in CATEGORIES:
        names = words.split()
        for n in range(count):
            price = int(low * (high / low) ** rng.random())
            price = price if category == "gift-cards" else price // 100 * 100 + 99
            if category == "gift-cards":
                price = [5000, 10000, 20000, 25000, 50000][n]
            popularity = round(rng.paretovariate(1.3), 2) if category != "gift-cards" else 0.3
            name = f"{names[n % len(names)].replace('-', ' ')} {n // len(names) + 1}"
            rows.append([gtin13(len(rows) + 1), name, category, price, min(popularity, 20)])
    return rows


def main() -> None:
    of_stores = "store name region country currency lat lon zone"
    of_products = "product name category unit_price_cents popularity"
    for name, columns, make in (
        ("stores.csv", of_stores, stores),
        ("products.csv", of_products, products),
    ):
        with (HERE / name).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns.split())
            writer.writerows(make(Random(name)))


if __name__ == "__main__":
    main()
