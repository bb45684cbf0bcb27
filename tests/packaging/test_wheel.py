"""The built wheel is the whole product: it starts in an empty folder and needs no clone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.packaging.conftest import call, outside, site_packages
from tests.support import ROOT
from tillstream import jars

LEFT_OUT = {"__pycache__", "target"}

# What a program reads of its own files, and where each of them was.
READ_ALL = """
import importlib, json, pathlib, pkgutil, sys
import tillstream
from tillstream import conf, jars
from tillstream.cluster import manifest
from tillstream.local import flink_home, ports
from tillstream.local.layout import Layout

jobs = importlib.import_module("tillstream.jobs")
for job in pkgutil.iter_modules(jobs.__path__):
    importlib.import_module(f"tillstream.jobs.{job.name}")
folder = conf.RESOURCES / "conf"
names = [file.stem for file in folder.glob("*.yaml") if file.stem != "base"]
layout = Layout(pathlib.Path.cwd())
rendered = {backend: flink_home.render(layout, dict.fromkeys(ports.DEFAULTS, 1), backend)
            for backend in flink_home.STATE_BACKENDS}
modules = [m for name, m in sys.modules.items() if name.split(".")[0] == "tillstream"]
print(json.dumps({
    "files": [m.__file__ for m in modules if m.__file__] + [str(jars.POM), str(jars.JAVA_SOURCES)],
    "regions": {name: conf.load(name).region for name in names},
    "rendered": {backend: len(settings) for backend, settings in rendered.items()},
    "digests": {part: jars._digest(part) for part in jars.PARTS},
    "own folder": str(conf.own_folder()),
    "version": manifest.code_version(),
}))
"""


def files_of_the_package() -> set[str]:
    """Every file of tillstream/, through its links to jobs/, conf/, java/ and the others."""
    found = set()
    for folder, inner, names in os.walk(ROOT / "tillstream", followlinks=True):
        inner[:] = [name for name in inner if name not in LEFT_OUT]
        found |= {str((Path(folder) / name).relative_to(ROOT)) for name in names}
    return found


def test_it_holds_every_file_of_the_package_and_nothing_else(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    about = {name for name in held if name.split("/")[0].endswith(".dist-info")}
    assert held - about == files_of_the_package()
    assert {name.split("/")[0] for name in held - about} == {"tillstream"}


def test_it_holds_what_is_read_when_it_runs(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    for needed in (
        "tillstream/py.typed",
        "tillstream/resources/conf/base.yaml",
        "tillstream/resources/conf/prod.yaml",
        "tillstream/resources/conf/flink/config.yaml",
        "tillstream/resources/conf/pom.xml",
        "tillstream/resources/java/src/main/java/io/tillstream/flink/KafkaEnvelope.java",
        "tillstream/jobs/loyalty.py",
        "tillstream/sim/data/stores.csv",
    ):
        assert needed in held
    assert not [name for name in held if "/tests/" in name or "/benchmarks/" in name]


def test_it_carries_its_licence(wheel):
    with zipfile.ZipFile(wheel) as held:
        (text,) = [n for n in held.namelist() if n.endswith(".dist-info/licenses/LICENSE")]
        assert held.read(text).decode() == (ROOT / "LICENSE").read_text()
        (about,) = [n for n in held.namelist() if n.endswith(".dist-info/METADATA")]
        assert "License-Expression: Apache-2.0\n" in held.read(about).decode()


def test_it_puts_one_package_into_the_environment(python):
    there = {path.name for path in site_packages(python).iterdir()} - {"libraries.pth"}
    assert {name.split("-")[0] for name in there} == {"tillstream"}


def test_its_command_starts_in_an_empty_folder(python, tmp_path):
    env = outside(tmp_path / "home")
    help_text = call(python.parent / "tillstream", "--help", cwd=tmp_path / "home", env=env)
    assert "demo" in help_text


def test_it_reads_nothing_from_the_clone(python, tmp_path):
    home = tmp_path / "home"
    env = outside(home)
    said = json.loads(call(python, "-W", "ignore", "-c", READ_ALL, cwd=home, env=env))
    here = str(site_packages(python).resolve())
    assert [file for file in said["files"] if not file.startswith(here)] == []
    assert said["regions"].keys() >= {"local", "prod"}
    assert all(said["rendered"].values())
    assert said["digests"] == {part: jars._digest(part) for part in jars.PARTS}
    assert said["own folder"] == str(home / ".tillstream")
    assert "+" not in said["version"], "a wheel has no commit of its own"


def test_links_that_came_out_as_files_stop_the_build(tmp_path):
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tillstream").mkdir()
    (tmp_path / "tillstream" / "jobs").write_text("../jobs")  # as a zip extracted on Windows has it
    done = subprocess.run(
        [sys.executable, "setup.py", "--name"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "core.symlinks=true" in done.stderr
