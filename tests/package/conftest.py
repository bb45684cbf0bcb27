"""A grocer's settings, a small jar, and wheels made of what is installed, as constraints.txt has it."""

from __future__ import annotations

import shutil
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest

from tillstream import conf, flink_line
from tillstream.package import wheels
from tillstream.package.build import Packer
from tillstream.package.settings import pack

PROD = f"""
deployment: shop
infra: {{flink: "{flink_line.installed().name}"}}
source: {{kinesis: {{account: "210987654321"}}}}
kafka: {{bootstrap: "b-1.shop.kafka:9098"}}
reference: {{stores: own/stores.csv, centres: own/centres.csv, products: own/products.csv}}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$TILLSTREAM_CONF_DIR of a grocer whose environment is prod."""
    monkeypatch.delenv("TILLSTREAM_CONF", raising=False)
    folder = tmp_path / "conf"
    shutil.copytree(
        conf.RESOURCES / "conf", folder, ignore=shutil.ignore_patterns("flink", "pom.xml")
    )
    (folder / "prod.yaml").write_text(PROD)
    shutil.copytree(conf.PACKAGE / "sim" / "data", folder / "own")
    (folder / "secret.txt").write_text("not a setting")
    monkeypatch.setenv("TILLSTREAM_CONF_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """NEEDED as wheels, without a download."""
    folder = tmp_path_factory.mktemp("wheels")
    made = {}
    for name, version in wheels.pinned().items():
        made[name] = folder / f"{name}-{version}-py3-none-any.whl"
        with ZipFile(made[name], "w") as out:
            for file in distribution(name).files or ():
                if not file.parts[0].startswith("..") and "__pycache__" not in file.parts:
                    out.write(str(file.locate()), str(file))
    return made


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    file = tmp_path / "tillstream-flink.jar"
    file.write_bytes(b"a jar")
    return file


@pytest.fixture
def packer(own: Path, jar: Path, installed: dict[str, Path], tmp_path: Path) -> Packer:
    """Of the environment prod; no job is built, which takes a JVM."""
    packed = pack("prod", (), tmp_path / "packed")
    return Packer(packed, jar, installed, lambda job, *_: {"a-uid": f"an operator of {job.name}"})
