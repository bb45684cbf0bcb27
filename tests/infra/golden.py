"""The templates as they were recorded last: ``python -m tests.infra.golden`` records them again.

Recorded are the jobs and tables that are named in them. A new job is recorded with the next release;
until then the other tests look at it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tillstream import catalog, conf
from tillstream.catalog import tables
from tillstream.infra import data, jobs

FOLDER = Path(__file__).with_name("golden")
CONF = conf.load("prod")


def templates(job_names: list[str], table_ids: list[str]) -> dict[str, dict[str, Any]]:
    listed = [table for table in tables.HOT if table.id in table_ids]
    return {
        "data": data.template(CONF, listed),
        "jobs": jobs.template(CONF, [catalog.job(name) for name in job_names]),
    }


def recorded() -> dict[str, Any]:
    """names: {jobs, tables}; data, jobs: the templates."""
    return {file.stem: json.loads(file.read_text()) for file in FOLDER.glob("*.json")}


def lines(template: dict[str, Any]) -> list[str]:
    return json.dumps(template, indent=1).splitlines()


def main() -> None:
    names = {"jobs": catalog.names(), "tables": [table.id for table in tables.HOT]}
    FOLDER.mkdir(exist_ok=True)
    found = templates(names["jobs"], names["tables"])
    for name, one in {"names": names, **found}.items():
        (FOLDER / f"{name}.json").write_text("\n".join(lines(one)) + "\n")


if __name__ == "__main__":
    main()
