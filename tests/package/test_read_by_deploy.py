"""What `package` writes is what `deploy` reads."""

from __future__ import annotations

from pathlib import Path

from tillstream.deploy.release import packed
from tillstream.package.build import Packer


def test_a_package_is_read_with_its_manifest_its_properties_and_what_its_state_means(
    packer: Packer, tmp_path: Path
):
    packer.package("loyalty", tmp_path / "out")
    found = packed("loyalty", tmp_path / "out")
    made = found.release.manifest
    assert (made.job, made.environment, made.line) == ("loyalty", "prod", "1.20")
    assert made.operators == {"a-uid": "an operator of loyalty"}
    assert found.release.key.startswith("loyalty/")
    assert found.release.settings["source.kind"] == packer.packed.conf.source.kind
    assert found.release.settings["kafka.delivery"] == packer.packed.conf.kafka.delivery
    assert found.properties["tillstream"] == {"environment": "prod"}
    assert found.properties["kinesis.analytics.flink.run.options"]["python"] == "main.py"
