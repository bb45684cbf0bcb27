"""Makes the zips: settings, code, wheels, jar and a manifest, each where the service looks for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from tillstream import catalog, flink_line, jars
from tillstream.catalog.entry import Job
from tillstream.conf import Conf
from tillstream.package import archive, code, service, wheels
from tillstream.package.manifest import PackageManifest, commit, encode, release, state_versions
from tillstream.package.settings import Packed, must_suit

Operators = Callable[[Job, Conf, Path], dict[str, str]]


class Package(NamedTuple):
    """A zip that was made, and beside it what CreateApplication takes as its EnvironmentProperties."""

    job: str
    file: Path
    properties: Path
    size: int
    sha256: str
    parts: list[tuple[str, int]]


def built(job: Job, conf: Conf, jar: Path) -> dict[str, str]:
    """Builds the job as the service will, without starting it: uid -> name of its operators. What a job
    cannot be built of, such as a table that is not set, is found here."""
    from tillstream.connectors.context import environment, make
    from tillstream.connectors.graph import operators

    # S3 is a plugin of the service's: to build a sink of files, any file system will do.
    nowhere = msgspec.structs.replace(conf.s3, scheme="file", bucket="/nowhere")
    conf = msgspec.structs.replace(conf, s3=nowhere)
    env = environment(conf)
    env.add_jars(jar.as_uri())
    return operators(make(job, env, conf))


class Packer:
    """Makes packages of one environment. ``operators``: `built`, or a stand-in where no JVM is wanted."""

    def __init__(
        self,
        packed: Packed,
        jar: Path,
        held: dict[str, Path],
        operators: Operators = built,
        say: wheels.Say = lambda text: None,
    ) -> None:
        self.packed, self.jar, self.operators, self.say = packed, jar, operators, say
        self.wheels = held
        self.line = flink_line.installed()
        self.jar_sha256 = archive.sha256(jar)
        self.libraries = {
            f"{service.PYTHON}/{name}": raw
            for wheel in held.values()
            for name, raw in wheels.contents(wheel).items()
        }

    def contents(self, name: str) -> dict[str, bytes | Path]:
        """Name in the zip -> what it holds. Raises Problem."""
        job = catalog.job(name)
        must_suit(job, self.packed.conf)
        found: dict[str, bytes | Path] = {
            service.MAIN: service.main_file(name),
            service.JAR: self.jar,
            **self.libraries,
        }
        ours = {**code.files(name), **self._settings()}
        found |= {f"{service.PYTHON}/{path}": file for path, file in ours.items()}
        found[service.MANIFEST] = encode(self._manifest(job))
        return found

    def package(self, name: str, folder: Path) -> Package:
        """Writes <name>.zip and <name>.properties.json into ``folder``. Raises Problem."""
        self.say(f"{name}: building the job, to see that it can be")
        contents = self.contents(name)
        size = archive.must_fit(contents)
        folder.mkdir(parents=True, exist_ok=True)
        file, properties = folder / f"{name}.zip", folder / f"{name}.properties.json"
        self.say(f"{name}: writing {archive.mib(size)}")
        archive.write(file, contents)
        said = service.properties(self.packed.properties)
        properties.write_text(json.dumps(said, indent=1) + "\n")
        return Package(name, file, properties, size, archive.sha256(file), archive.parts(contents))

    def _settings(self) -> dict[str, Path]:
        folder = self.packed.folder
        return {
            f"tillstream/resources/conf/{file.relative_to(folder).as_posix()}": file
            for file in folder.rglob("*")
            if file.is_file()
        }

    def _manifest(self, job: Job) -> PackageManifest:
        conf = self.packed.conf
        return PackageManifest(
            job=job.name,
            environment=conf.environment,
            deployment=conf.deployment,
            release=release(),
            commit=commit(),
            flink=self.line.flink,
            line=self.line.name,
            runtime=self.line.runtime,
            python=self.line.python,
            jar=self.jar_sha256,
            packages=wheels.pinned(),
            wheels={wheel.name: archive.sha256(wheel) for wheel in self.wheels.values()},
            parallelism=conf.job.parallelism,
            max_parallelism=conf.job.max_parallelism,
            operators=self.operators(job, conf, self.jar),
            state_versions=state_versions(job.name, conf),
        )


def packer(packed: Packed, say: wheels.Say) -> Packer:
    """With the job jar and the wheels of the line that is installed, made or downloaded where they are not
    there yet. Raises Problem."""
    jar = jars.ensure_jars(say, ("job",)).job
    return Packer(packed, jar, wheels.fetch(flink_line.installed(), say), say=say)
