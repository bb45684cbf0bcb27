"""The zip of a job: what it holds, the same bytes each time, and what is refused before it is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from importlib.metadata import requires
from pathlib import Path
from zipfile import ZipFile

import botocore.loaders
import msgspec
import pytest
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from packaging.requirements import Requirement

from tillstream import catalog, flink_line, jars
from tillstream.conf import ConfError, load
from tillstream.connectors.context import environment, python_mode
from tillstream.errors import Problem, Problems
from tillstream.package import archive, code, service, wheels
from tillstream.package.build import Packer, built
from tillstream.package.manifest import decode
from tillstream.package.settings import marks, must_suit, pack

OF_PYFLINK = {
    "pyflink",
    "py4j",
    "apache_beam",
    "numpy",
    "pandas",
    "pyarrow",
    "google",
    "cloudpickle",
}

# Imports main.py of each job in a process of its own, all of them with the same PyFlink.
IMPORT_ALL = """
import json, os, sys
site, libraries, needed, jobs = json.loads(sys.argv[1])
sys.path.append(site)
import pyflink.datastream
import pyflink.fn_execution.flink_fn_execution_pb2
for name in [name for name in sys.modules if name.partition(".")[0] in needed]:
    del sys.modules[name]
before, failed = set(sys.modules), []
for job, root in jobs.items():
    child = os.fork()
    if not child:
        sys.path[:0] = [root, root + "/dep", libraries]
        import main
        main.run
        new = {n: getattr(sys.modules[n], "__file__", None) or "" for n in set(sys.modules) - before}
        strays = {n: f for n, f in new.items() if f.startswith(site) and not n.startswith("pyflink")}
        missing = set(needed) - {"tzdata"} - {n for n, f in new.items() if f.startswith(libraries)}
        ours = [f for n, f in new.items() if n.startswith("tillstream")]
        assert not strays and not missing, (job, strays, missing)
        assert ours and all(f.startswith(root) for f in ours), ours
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(job)
sys.exit(" ".join(failed) or 0)
"""


def laid_out(contents: dict[str, bytes | Path], folder: Path) -> None:
    for name, said in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(said if isinstance(said, bytes) else said.read_bytes())


def test_two_runs_give_the_same_bytes(packer: Packer, tmp_path):
    first = packer.package("loyalty", tmp_path / "one")
    for file in (packer.jar, *packer.packed.folder.rglob("*.yaml")):
        os.utime(file, (1, 1))
        file.chmod(0o600)
    second = packer.package("loyalty", tmp_path / "two")
    assert first.file.read_bytes() == second.file.read_bytes()
    assert first.sha256 == second.sha256 == archive.sha256(second.file)
    with ZipFile(first.file) as held:
        names = held.namelist()
        assert {one.date_time for one in held.infolist()} == {archive.TIME}
        assert {oct(one.external_attr >> 16) for one in held.infolist()} == {"0o100644", "0o40755"}
    assert names == sorted(names)
    assert {name.split("/")[0] for name in names} == {"main.py", "lib", "dep", "manifest.json"}
    assert "dep/" in names


def test_every_job_finds_all_it_imports_in_its_own_zip(packer: Packer, tmp_path):
    """No site-packages but PyFlink's, no .pth file, no environment variable, as a fresh interpreter."""
    libraries = tmp_path / "libraries"
    laid_out({k.partition("/")[2]: v for k, v in packer.libraries.items()}, libraries)
    roots = {}
    for job in catalog.names():
        mine = {k: v for k, v in packer.contents(job).items() if k not in packer.libraries}
        laid_out({k: v for k, v in mine.items() if k != service.JAR}, tmp_path / job)
        roots[job] = str(tmp_path / job)
    tops = ["yaml" if name == "pyyaml" else name for name in wheels.NEEDED]
    said = json.dumps([sysconfig.get_path("purelib"), str(libraries), tops, roots])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", IMPORT_ALL, said],
        capture_output=True, text=True, cwd=tmp_path, env={},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_what_is_packed_is_what_jobs_import_and_no_more(packer: Packer):
    found = set()
    for job in catalog.names():
        found |= code.outside(code.modules(job).values())
    found -= sys.stdlib_module_names | OF_PYFLINK
    found = {"pyyaml" if name == "yaml" else name for name in found}
    assert found | {"tzdata"} == set(wheels.NEEDED)  # zoneinfo looks for tzdata by itself
    needs = [Requirement(one) for name in wheels.NEEDED for one in requires(name) or ()]
    further = {wheels.normal(one.name) for one in needs if not one.marker or one.marker.evaluate()}
    assert further <= set(wheels.NEEDED)


NOT_OURS = {
    "local",
    "sim",
    "check",
    "cli",
    "chaos",
    "demo",
    "jars",
    "package",
    "clients",
    "cluster",
}
TOPS = {"click", "msgspec", "orjson", "yaml", "_yaml", "tzdata", "tillstream"}


def test_nothing_of_development_is_in_a_zip(packer: Packer):
    for job in catalog.names():
        names = [Path(name).parts for name in packer.contents(job)]
        of_python = [inner for top, *inner in names if top == "dep"]
        assert {top for top, *_ in of_python if not top.endswith(".dist-info")} == TOPS
        ours = [inner for top, *inner in of_python if top == "tillstream"]
        assert not {name.removesuffix(".py") for name, *_ in ours} & NOT_OURS
        assert sorted(inner for top, *inner in ours if top == "jobs") == [
            ["__init__.py"],
            [f"{job}.py"],
        ]
        settings = {"/".join(path) for _, *path in ours if path[:1] == ["conf"]}
        assert {"conf/base.yaml", "conf/prod.yaml", "conf/own/stores.csv"} <= settings
        assert "conf/mappings/rewe-ebon.yaml" in settings
        left_out = {"local.yaml", "pom.xml", "secret.txt", "own/rates.csv"}
        assert not settings & {f"conf/{name}" for name in left_out}
        assert {Path(path[-1]).suffix for path in ours} <= {".py", ".yaml", ".json", ".csv"}


def test_a_job_reads_the_grocer_s_tables_out_of_its_zip(packer: Packer):
    assert packer.packed.conf.reference.stores == str(packer.packed.folder / "own" / "stores.csv")
    assert packer.packed.conf.deployment == "shop"


def test_one_that_is_too_large_is_refused_with_its_largest_parts(packer: Packer):
    contents = packer.contents("sales")
    size = archive.must_fit(contents)
    with pytest.raises(
        Problem, match=r"the service takes .* MiB: make its largest parts smaller \(dep/"
    ):
        archive.must_fit(contents, size - 1)
    assert archive.must_fit(contents, size) == size
    assert service.MOST_BYTES == 512 * 1024 * 1024


def test_examples_in_production_s_settings_are_refused_by_name(monkeypatch, tmp_path):
    for name in ("TILLSTREAM_CONF_DIR", "TILLSTREAM_CONF"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Problems) as refused:
        pack("prod", (), tmp_path)
    said = "\n".join(refused.value.problems)
    for name in ("source.kinesis.account", "kafka.bootstrap", "notify.sns_topics"):
        assert f"{name} is still an example" in said
    assert "take the comment `replace:` away" in said


def test_a_mark_names_its_setting_with_the_line(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("a:\n  b: 1   # replace: yours\n  c: {d: 2}\n# replace: no setting\ne: 3\n")
    assert marks(file) == [(2, "a.b")]


@pytest.mark.parametrize("outside", ["/srv/stores.csv", "../stores.csv", "nowhere.csv"])
def test_a_table_elsewhere_is_refused_with_where_to_put_it(own, tmp_path, outside):
    (tmp_path / "stores.csv").write_text("store\n")
    with pytest.raises(
        Problems, match=r"reference\.stores: .*put it there.* reference\.stores: \w+\.csv"
    ):
        pack("prod", (f"reference.stores={outside}",), tmp_path / "packed")


def test_a_table_given_by_its_whole_path_is_refused_although_it_is_beside_the_settings(
    own, tmp_path
):
    """On the service nothing is at that path."""
    with pytest.raises(Problems, match=r"set reference\.stores: own/stores\.csv"):
        pack("prod", (f"reference.stores={own}/own/stores.csv",), tmp_path / "packed")


def test_what_the_service_could_not_be_told_is_refused(own, monkeypatch, tmp_path):
    with pytest.raises(Problem, match="local stack"):
        pack("local", (), tmp_path / "a")
    with pytest.raises(Problem, match=r"2048 characters \(s3\.bucket\)"):
        pack("prod", (f"s3.bucket={'x' * 2049}",), tmp_path / "b")
    with pytest.raises(ConfError, match="there is no setting nobody"):
        pack("prod", ("nobody=1",), tmp_path / "c")
    monkeypatch.setenv("TILLSTREAM_CONF", "{}")
    with pytest.raises(Problem, match="use --conf"):
        pack("prod", (), tmp_path / "d")


def test_what_a_job_needs_and_nobody_has_set_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TILLSTREAM_HOME", str(tmp_path))  # where no stack is
    conf = load("local", {"source": {"kinesis": {"account": "000000000000"}}})
    with pytest.raises(Problems) as refused:
        must_suit(catalog.job("intake"), conf)
    assert [one.split(" ")[0] for one in refused.value.problems] == [
        "kafka.bootstrap",
        "source.kinesis.account",
    ]


def test_a_zip_of_another_line_than_the_settings_say_is_refused(packer: Packer, monkeypatch):
    other = next(one for one in flink_line.LINES.values() if one is not flink_line.installed())
    monkeypatch.setattr(flink_line, "installed", lambda: other)
    with pytest.raises(Problems, match=rf"this environment has Flink {other.name} \(`bin/setup"):
        must_suit(catalog.job("loyalty"), packer.packed.conf)


def test_the_properties_are_as_create_application_takes_them(
    packer: Packer, own, jar, installed, tmp_path
):
    packed = pack(
        "prod", ("job.parallelism=4", "kafka.topics.notices=own-notices"), tmp_path / "more"
    )
    made = Packer(packed, jar, installed, packer.operators).package("sales", tmp_path / "out")
    said = json.loads(made.properties.read_text())
    assert said["PropertyGroups"] == [
        {
            "PropertyGroupId": "kinesis.analytics.flink.run.options",
            "PropertyMap": {"python": "main.py", "jarfile": "lib/tillstream-flink.jar", "pyFiles": "dep/"},
        },
        {
            "PropertyGroupId": "tillstream",
            "PropertyMap": {
                "environment": "prod", "job.parallelism": "4", "kafka.topics.notices": "own-notices",
            },
        },
    ]  # fmt: skip
    with ZipFile(made.file) as held:
        for name in said["PropertyGroups"][0]["PropertyMap"].values():
            held.getinfo(name)
    api = botocore.loaders.Loader().load_service_model("kinesisanalyticsv2", "service-2")
    model = ServiceModel(api)
    assert (
        not ParamValidator().validate(said, model.shape_for("EnvironmentProperties")).has_errors()
    )
    runtimes = model.shape_for("RuntimeEnvironment").enum
    assert {line.runtime for line in flink_line.LINES.values()} <= set(runtimes)


def test_the_manifest_says_what_a_deployment_compares(packer: Packer, tmp_path):
    made = packer.package("loyalty", tmp_path)
    with ZipFile(made.file) as held:
        found = decode(held.read("manifest.json"))
    line = flink_line.installed()
    assert (found.job, found.environment) == ("loyalty", "prod")
    assert (found.line, found.runtime, found.python) == (line.name, line.runtime, line.python)
    assert found.max_parallelism == 720
    assert found.state_versions == {"loyalty_account": 4}
    assert found.operators == {"a-uid": "an operator of loyalty"}
    assert found.packages["orjson"] == wheels.pinned()["orjson"]
    assert len(found.wheels) == len(wheels.NEEDED)
    with pytest.raises(ValueError, match="no manifest of a package"):
        decode(b"{}")


def test_a_job_is_built_as_it_will_run_so_its_uids_are_those_that_are_recorded(packer: Packer):
    jar = jars.ensure_jars(print, ("job",)).job
    recorded = json.loads((Path(__file__).parents[1] / "jobs" / "uids.json").read_text())
    job = catalog.job("archive")
    assert built(job, packer.packed.conf, jar) == recorded["archive"]


def test_a_job_sets_thread_mode_by_itself_unless_it_may_do_without(packer: Packer):
    """On the service nobody else can."""
    conf = packer.packed.conf
    assert python_mode(environment(conf)) == "thread"
    either = msgspec.structs.replace(conf.job, require_thread_mode=False)
    assert python_mode(environment(msgspec.structs.replace(conf, job=either))) == "process"


@pytest.mark.long
@pytest.mark.parametrize("line", ["1.20", "2.2"])
def test_every_package_has_a_wheel_for_the_service_s_python(line, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = wheels.fetch(flink_line.LINES[line])
    assert set(found) == set(wheels.NEEDED)
    tag = "cp" + flink_line.LINES[line].python.replace(".", "")
    native = [wheel.name for wheel in found.values() if not wheel.name.endswith("-any.whl")]
    assert len(native) == 3
    assert all(tag in name and wheels.PLATFORM in name for name in native)
