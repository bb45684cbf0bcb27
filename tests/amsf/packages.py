"""A package of a job without its code, which an engine that only keeps time does not need."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any


def package(
    folder: Path, job: str = "loyalty", properties: dict[str, str] | None = None, **over: Any
) -> Path:
    """<job>.zip and <job>.properties.json, as `tillstream package` leaves them."""
    manifest = {
        "job": job, "environment": "prod", "deployment": "prod", "release": "0.2.0", "commit": "",
        "flink": "1.20.5", "line": "1.20", "runtime": "FLINK-1_20", "python": "3.11", "jar": "0" * 64,
        "packages": {}, "wheels": {}, "parallelism": 16, "max_parallelism": 720,
        "operators": {"transactions": "transactions", "points": "points ledger"},
        "state_versions": {"loyalty_account": 2},
    } | over  # fmt: skip
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as made:
        made.writestr(zipfile.ZipInfo("manifest.json"), json.dumps(manifest))
        for name in ("base", "prod"):
            path = f"dep/tillstream/resources/conf/{name}.yaml"
            made.writestr(
                zipfile.ZipInfo(path), "source: {kind: kinesis}\n" if name == "base" else ""
            )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{job}.zip").write_bytes(raw.getvalue())
    groups = [
        {
            "PropertyGroupId": "kinesis.analytics.flink.run.options",
            "PropertyMap": {"python": "main.py"},
        },
        {
            "PropertyGroupId": "tillstream",
            "PropertyMap": {"environment": "prod", **(properties or {})},
        },
    ]
    (folder / f"{job}.properties.json").write_text(json.dumps({"PropertyGroups": groups}))
    return folder
