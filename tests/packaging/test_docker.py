"""The image is not built here: at least, all it copies is there or is made by a command it names."""

from __future__ import annotations

import re

import pytest

from tests.support import ROOT

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COPIED = [
    source
    for line in re.findall(r"^COPY +(.+)$", DOCKERFILE, re.MULTILINE)
    for source in line.split()[:-1]
]
MADE_BY = {"dist/": "python -m build --wheel", ".tillstream/jars/": "python -m tillstream.jars"}


def test_the_image_copies_something():
    assert COPIED


@pytest.mark.parametrize("source", COPIED)
def test_what_the_image_copies_is_there_or_made_by_a_command_it_names(source):
    commands = [command for folder, command in MADE_BY.items() if source.startswith(folder)]
    assert (ROOT / source).exists() or (commands and commands[0] in DOCKERFILE)


def test_the_image_is_made_of_the_wheel():
    assert "dist/tillstream-*.whl" in COPIED
    folders = ("tillstream", "jobs", "udfs", "state_schemas", "conf", "java")
    assert not set(COPIED) & set(folders)
