"""docker/'s own steps without a container engine: each stage of the Dockerfile in a root made by debootstrap,
each service of the compose file as a process in it.

Not as there: no limits of memory, no restarts, and one network for all, which the compose file asks for
anyway. Needs root, for mounts in a namespace that goes with each process.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import yaml

MIRROR = "http://deb.debian.org/debian"
TOOLS = ("debootstrap", "unshare", "chroot", "mount")
# A proxy's certificates, and what was downloaded already: of this machine, not of the image.
OF_THE_MACHINE = {Path("/usr/local/share/ca-certificates"): "copied", Path.home() / ".m2": "bound"}
PASSED_ON = ("PIP_CERT", "SSL_CERT_FILE")
START = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def can_be_built() -> bool:
    """Whether this user may mount, and the tools are there."""
    return os.geteuid() == 0 and all(map(shutil.which, TOOLS))


class Stage(NamedTuple):
    """``root``: its file system. The others: as the Dockerfile left them."""

    root: Path
    variables: dict[str, str]
    user: list[str]
    folder: list[str]
    entry: list[str]


class Image:
    """Built from ``dockerfile`` with ``context``; ``work``: where roots and logs are put."""

    def __init__(self, dockerfile: Path, context: Path, work: Path) -> None:
        self.context, self.work = context, work
        self.stages: dict[str, Stage] = {}
        self.base = work / "debian"
        self.last = self._built(steps(dockerfile.read_text()))

    def _built(self, found: list[tuple[str, str]]) -> Stage:
        stage: Stage | None = None
        for word, rest in found:
            if word == "FROM":
                stage = self._begun(rest)
                continue
            assert stage is not None, f"{word} before FROM"
            getattr(self, f"_{word.lower()}")(stage, rest)
        assert stage is not None
        return stage

    def _begun(self, rest: str) -> Stage:
        image, _, name = rest.partition(" AS ")
        debian = re.fullmatch(r"debian:(\w+)-slim", image)
        assert debian, f"no way to begin with {image}"
        if not self.base.exists():
            made = ["debootstrap", "--variant=minbase", debian[1], str(self.base), MIRROR]
            self._logged("debootstrap", made)
        root = self.work / f"root-{name or len(self.stages)}"
        subprocess.run(["cp", "-a", str(self.base), str(root)], check=True)
        for place, how in OF_THE_MACHINE.items():
            if place.exists() and how == "copied":
                shutil.copytree(place, root / str(place)[1:], dirs_exist_ok=True)
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        stage = Stage(root, dict(START), ["0:0"], ["/"], [])
        self.stages[name or str(len(self.stages))] = stage
        return stage

    def _run(self, stage: Stage, rest: str) -> None:
        name = f"{stage.root.name}-{sum(1 for _ in self.work.glob('*.log')):02d}"
        bound = [one for one, how in OF_THE_MACHINE.items() if how == "bound" and one.exists()]
        passed = {one: os.environ[one] for one in PASSED_ON if one in os.environ}
        self._logged(
            name, inside(stage, ["/bin/sh", "-c", rest], {p: str(p) for p in bound}, passed)
        )

    def _env(self, stage: Stage, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            stage.variables[name] = value

    def _user(self, stage: Stage, rest: str) -> None:
        entries = (stage.root / "etc" / "passwd").read_text().splitlines()
        (found,) = (one.split(":") for one in entries if one.startswith(f"{rest}:"))
        stage.user[:] = [f"{found[2]}:{found[3]}"]

    def _workdir(self, stage: Stage, rest: str) -> None:
        stage.folder[:] = [rest]

    def _entrypoint(self, stage: Stage, rest: str) -> None:
        stage.entry[:] = json.loads(rest)

    def _cmd(self, stage: Stage, rest: str) -> None:
        """What runs when nothing is said; here something always is."""

    def _copy(self, stage: Stage, rest: str) -> None:
        *sources, target = rest.split()
        options = dict(one[2:].split("=", 1) for one in sources if one.startswith("--"))
        at = self.stages[options["from"]].root if "from" in options else self.context
        for source in (one for one in sources if not one.startswith("--")):
            place, to = at / source.lstrip("/"), stage.root / target.lstrip("/")
            if place == self.context / ".":
                place = self._clone()
            to.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", "-T", str(place), str(to)], check=True)
            owner = options.get("chown", "0:0")
            numbered = owner if owner[0].isdigit() else self._ids(stage, owner)
            subprocess.run(["chown", "-RhP", numbered, str(to)], check=True)

    def _ids(self, stage: Stage, owner: str) -> str:
        user, _, _ = owner.partition(":")
        before = list(stage.user)
        self._user(stage, user)
        found, stage.user[:] = stage.user[0], before
        return found

    def _clone(self) -> Path:
        """The context: of all that git has, without what .dockerignore leaves out."""
        to = self.work / "context"
        listed = subprocess.run(
            ["git", "-C", str(self.context), "ls-files", "-z"], check=True, capture_output=True
        ).stdout.split(b"\0")
        out = [
            line for line in (self.context / ".dockerignore").read_text().split() if "*" not in line
        ]
        for name in map(bytes.decode, filter(None, listed)):
            if name.split("/")[0] not in out and os.path.lexists(self.context / name):
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.context / name, to / name, follow_symlinks=False)
        return to

    def _logged(self, name: str, command: list[str]) -> None:
        log = self.work / f"{name}.log"
        with log.open("w") as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, f"{name}: {log.read_text()[-4000:]}"


def steps(dockerfile: str) -> list[tuple[str, str]]:
    """(instruction, what follows it)."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(word, rest.strip()) for word, _, rest in found]


def inside(
    stage: Stage, command: list[str], bound: dict[Path, str], more: dict[str, str]
) -> list[str]:
    """The command in the root of the stage, as its user, with ``bound`` folders and ``more`` variables."""
    script = []
    for place, at in {Path("/proc"): "/proc", Path("/dev"): "/dev", **bound}.items():
        inner = shlex.quote(f"{stage.root}{at}")
        script += [f"mkdir -p {inner}", f"mount --rbind {shlex.quote(str(place))} {inner}"]
    said = [f"{name}={value}" for name, value in (stage.variables | more).items()]
    there = ["/bin/sh", "-c", f'cd {stage.folder[0]} && exec "$@"', "sh", *stage.entry, *command]
    whole = ["chroot", f"--userspec={stage.user[0]}", str(stage.root), "/usr/bin/env", "-i", *said]
    script.append("exec " + shlex.join([*whole, *there]))
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join(script)]


class Composed:
    """The services of a compose file in the image, with ``data`` as their volume."""

    def __init__(self, file: Path, image: Image, data: Path) -> None:
        self.services: dict[str, Any] = yaml.safe_load(file.read_text())["services"]
        self.image, self.data = image, data
        data.mkdir(parents=True)
        uid = int(image.last.user[0].partition(":")[0])
        os.chown(data, uid, uid)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def command(self, service: str, *said: str) -> list[str]:
        """Of the service, or with it another command, as `docker compose run SERVICE ...` does."""
        one = self.services[service]
        (volume,) = one["volumes"]
        at = volume.partition(":")[2]
        more = {name: str(value) for name, value in one.get("environment", {}).items()}
        return inside(self.image.last, list(said) or one["command"], {self.data: at}, more)

    def run(self, service: str, *said: str, timeout_s: float = 300) -> str:
        """What it printed, once it has ended well."""
        done = subprocess.run(
            self.command(service, *said), capture_output=True, text=True, timeout=timeout_s
        )
        told = done.stdout + done.stderr
        assert done.returncode == 0, f"{service}: {told[-4000:]}"
        return told

    def start(self, service: str, *said: str, name: str = "") -> None:
        """The service, or under another ``name`` another command in it."""
        named = name or service
        with (self.image.work / f"service-{named}.out").open("ab") as out:
            self.running[named] = subprocess.Popen(
                self.command(service, *said), stdout=out, stderr=subprocess.STDOUT
            )

    def stop(self) -> None:
        for one in self.running.values():
            one.terminate()
        for one in self.running.values():
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
