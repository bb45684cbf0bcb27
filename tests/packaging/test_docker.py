"""What docker/ says, without building it: tests/integration/test_containers.py does that."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.support import ROOT
from tests.support.containers import steps
from tillstream.local.services import services

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
COPIED = [rest.split()[0] for word, rest in steps(DOCKERFILE)
          if word == "COPY" and not rest.startswith("--")]  # fmt: skip


@pytest.mark.parametrize("source", COPIED)
def test_what_the_image_copies_is_there(source):
    assert (ROOT / source).exists()


def test_the_image_is_made_of_the_wheel():
    made, last = DOCKERFILE.split("FROM debian")[1:]
    assert "pip wheel" in made
    assert "/wheel/tillstream-*.whl" in made
    # Of what compiles and what the clone has, nothing is in what is shipped.
    copied = re.findall(r"^COPY (.+)$", last, re.MULTILINE)
    assert all("--from=made" in one or one.startswith("docker/") for one in copied)
    assert "gcc" not in last
    assert "maven" not in last


def test_the_compose_file_has_a_container_for_each_process_of_the_stack():
    count = COMPOSE["prepare"]["environment"]["TILLSTREAM_TASKMANAGERS"]
    wanted = {one.name for one in services(int(count))} - {"supervisor"}
    restarted = {
        name: one for name, one in COMPOSE.items() if one.get("restart") == "unless-stopped"
    }
    assert restarted.keys() == wanted
    for name, service in restarted.items():
        assert service["command"][-1] == name


def test_nothing_of_the_stack_is_reached_from_another_machine():
    published = [port for one in COMPOSE.values() for port in one.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
