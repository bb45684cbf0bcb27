"""Jobs as zips for Amazon's service, by a grocer's own settings and with the names of a shop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.shop import Shop
from tillstream import catalog, conf, flink_line

JOB = "intake"


def own_settings(folder: Path, **more: Any) -> Path:
    """Makes ``folder`` what a grocer has as $TILLSTREAM_CONF_DIR, whose environment is prod. ``more``: of its
    settings."""
    shutil.copytree(ROOT / "conf", folder)
    shutil.copytree(conf.PACKAGE / "sim" / "data", folder / "own")
    tables = {
        name: f"own/{name}.csv" for name in ("stores", "centres", "products", "rates", "bundles")
    }
    said = {"reference": tables, "infra": {"flink": flink_line.installed().name}} | more
    (folder / "prod.yaml").write_text(json.dumps(said))  # JSON is YAML
    return folder


def packed(shop: Shop, own: Path, into: Path, job: str = JOB, **more: str) -> None:
    """Runs `tillstream package` by the settings in ``own`` alone, and ``more`` of them."""
    said = properties_of(shop, job) | more
    pairs = [one for pair in said.items() for one in ("--conf", "=".join(pair))]
    before = dict(shop.environment)
    shop.environment |= {"TILLSTREAM_CONF_DIR": str(own), "TILLSTREAM_CONF": ""}
    try:
        shop.run("package", job, "--out", str(into), *pairs)
    finally:
        shop.environment = before


def properties_of(shop: Shop, name: str) -> dict[str, str]:
    """The shop's names and the stack's endpoints, as properties of the application."""
    found, job = shop.conf(), catalog.job(name)
    tills = found.source
    return {
        "source.kind": tills.kind,
        "source.kafka.topic": tills.kafka.topic,
        "source.kafka.bootstrap": tills.kafka.bootstrap or "",
        "source.kinesis.stream": tills.kinesis.stream,
        "source.kinesis.endpoint": tills.kinesis.endpoint or "",
        "kafka.bootstrap": found.kafka.bootstrap or "",
        "s3.bucket": found.s3.bucket,
        "job.parallelism": "1",
        **{f"kafka.topics.{one.id}": found.topic(one) for one in job.topics},
        **{f"s3.prefixes.{one.id}": found.prefix(one) for one in job.histories},
        **{f"dynamodb.tables.{one.id}": found.table(one) for one in job.tables},
        **({"dynamodb.endpoint": found.dynamodb.endpoint or ""} if job.tables else {}),
    }
