"""Programs from PyPI in environments of their own: their libraries would not go with ours."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

from tests.support.wait import wait_for
from tillstream.conf import own_folder
from tillstream.local import ports

PACKAGES = {
    "ministack": ("ministack==1.5.33",),
    "parliament": ("parliament==1.6.4", "policy-sentry==0.15.2", "setuptools<81"),
    "checkov": ("checkov==3.3.30",),
    "kubernetes": ("kubernetes-validate==1.37.0",),
}
REGION = "af-south-1"


def environment(name: str) -> Path:
    """The folder of programs of an environment, made once."""
    folder = own_folder() / "tools" / name
    mark, wanted = folder / "installed.txt", "\n".join(PACKAGES[name])
    if not mark.exists() or mark.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", *PACKAGES[name]]
        subprocess.run(pip, check=True)
        mark.write_text(wanted)
    return folder / "bin"


def said(
    program: Path, *arguments: str | Path, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """``given``: on its standard input."""
    return subprocess.run(
        [program, *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )


class MiniStack:
    """One that runs, on 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"

    def client(self, service: str):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, **keys)


@contextmanager
def ministack(home: Path) -> Iterator[MiniStack]:
    """Ended with the block; what it keeps is under ``home``."""
    program = environment("ministack") / "ministack"
    port = ports.any_free(set())
    env = os.environ | {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "TMPDIR": str(home),
                        "MINISTACK_REGION": REGION, "S3_DATA_DIR": str(home / "s3")}  # fmt: skip
    with (home / "ministack.log").open("w") as log:
        process = subprocess.Popen([program], env=env, stdout=log, stderr=log, cwd=home)
        try:
            found = MiniStack(port)
            wait_for(lambda: _answers(found), 180, "MiniStack to answer")
            yield found
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(stack: MiniStack) -> bool:
    try:
        stack.client("cloudformation").describe_stacks()
    except Exception:
        return False
    return True
