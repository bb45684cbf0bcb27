"""Released versions are frozen: their layouts, their golden bytes, and that today's code reads them."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from tillstream.state_schemas.keyed import freeze
from tillstream.state_schemas.keyed.versioned import RELEASED as RECORD
from tillstream.state_schemas.keyed.versioned import describe

CODECS = {codec.name: codec for codec in freeze.codecs()}
GOLDEN = [
    (name, int(version), sample)
    for name, versions in RECORD.items()
    for version, frozen in versions.items()
    for sample in frozen["golden"]
]
# A record of the record: a version can be added to it, not taken from it.
RELEASED = {("loyalty_account", 1), ("archived_mark", 1)}


def test_no_released_version_is_gone_from_the_record():
    assert {(name, int(v)) for name, versions in RECORD.items() for v in versions} >= RELEASED


@pytest.mark.parametrize(("name", "version", "sample"), GOLDEN)
def test_golden_bytes_are_what_was_released(name, version, sample):
    path = freeze.golden(CODECS[name], version, sample)
    assert path.exists(), f"{path.name} was released and is gone: bring it back"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found == RECORD[name][str(version)]["golden"][sample], (
        f"{path.name} was released and has changed: bring the old bytes back, add a new version"
    )


@pytest.mark.parametrize(("name", "version", "sample"), GOLDEN)
def test_todays_code_reads_every_released_version(name, version, sample):
    codec = CODECS[name]
    data = freeze.golden(codec, version, sample).read_bytes()
    frozen = codec.decode_frozen(data)
    assert frozen == freeze.samples(codec)[version][sample]
    assert bytes([version]) + msgspec.msgpack.encode(frozen) == data
    live = codec.decode(data)
    assert codec.decode(codec.encode(live)) == live


@pytest.mark.parametrize("name", CODECS)
def test_layouts_are_those_that_were_released(name):
    layouts = {str(layout.version): describe(layout.shape) for layout in CODECS[name].layouts}
    released = {version: frozen["layout"] for version, frozen in RECORD[name].items()}
    assert {v: layouts.get(v) for v in released} == released, (
        f"state_schemas/{name}: a released layout has changed; put it back and add a version"
    )
    assert layouts.keys() == released.keys(), (
        "new: `python -m tillstream.state_schemas.keyed.freeze`"
    )


@pytest.mark.parametrize("name", CODECS)
def test_no_golden_file_is_unrecorded(name):
    recorded = {freeze.golden(CODECS[n], v, s).name for n, v, s in GOLDEN if n == name}
    assert {path.name for path in (freeze.HERE / name / "golden").iterdir()} == recorded
