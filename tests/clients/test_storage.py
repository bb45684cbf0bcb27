"""Files on S3 beyond what a disk has too (tests/cluster/test_manifest.py runs both), and what hides."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from tests.support.listing import DAYS, FILES, Held, ListedS3, ListingContract
from tillstream.clients import storage
from tillstream.clients.storage import (
    Disk,
    S3Folder,
    StorageError,
    Stored,
    file_uri,
    local_folder,
    of_days,
    open_storage,
    visible,
)
from tillstream.conf import load
from tillstream.errors import Unreachable


@pytest.fixture
def client():
    with mock_aws():
        made = boto3.client("s3", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        made.create_bucket(Bucket="bucket")
        yield made


def names(folder) -> list[str]:
    return [file.name for file in folder.files()]


def test_files_are_found_by_how_their_names_begin_and_deleted_so_many_at_once(client, monkeypatch):
    monkeypatch.setattr(storage, "DELETED_AT_ONCE", 3)
    folder = S3Folder(client, "bucket", "history")
    for n in (7, 8, 9, 10, 11, 12, 13):
        folder.write(f"part-{n:02}", b"x")
    assert [file.name for file in folder.files("part-0")] == ["part-07", "part-08", "part-09"]
    folder.delete(names(folder))
    assert names(folder) == []


def test_a_moved_file_is_in_its_new_place_alone(client):
    folder = S3Folder(client, "bucket")
    folder.write("a/one", b"123")
    folder.move("a/one", "a/_aside/one")
    assert names(folder) == ["a/_aside/one"]
    assert (folder.size("a/_aside/one"), folder.size("a/one")) == (3, None)
    with pytest.raises(StorageError, match="s3://bucket/a/one is gone"):
        folder.get("a/one")


def test_an_upload_that_is_not_finished_is_no_file_yet(client):
    client.create_multipart_upload(Bucket="bucket", Key="history/half")
    folder = S3Folder(client, "bucket", "history")
    assert (names(folder), folder.uploads()) == ([], {"half"})


def test_its_clock_and_its_files_dates_are_the_same(client):
    folder = S3Folder(client, "bucket")
    folder.write("one", b"x")
    (one,) = folder.files()
    assert abs(folder.now_ms() - one.written_ms) < 60_000


def test_a_bucket_that_is_not_there_is_one_line_that_names_the_settings(client):
    folder = S3Folder(client, "nowhere", "x")
    for asked in (lambda: list(folder.files()), folder.now_ms, lambda: folder.read("one")):
        with pytest.raises(StorageError, match=r"s3://nowhere/x cannot be used .*s3\.bucket"):
            asked()


def test_without_a_stack_nobody_asks_amazon():
    with pytest.raises(Unreachable, match="tillstream up"):
        open_storage("s3://bucket/x", load("local"))
    with pytest.raises(StorageError, match="neither file:// nor s3://"):
        open_storage("hdfs://bucket/x", load("local"))


def test_readers_skip_empty_files_and_hidden_parts_below_what_they_asked_for():
    found = [
        Stored(name, size, 0)
        for name, size in (
            ("_kept/a", 1), ("_kept/.b", 1), ("_kept/_c/d", 1), ("_kept/e/f", 1), ("_kept/g", 0),
        )
    ]  # fmt: skip
    assert [file.name for file in visible(found, "_kept/")] == ["_kept/a", "_kept/e/f"]
    assert list(visible(found)) == []


def test_a_file_that_goes_while_a_disk_is_listed_is_left_out(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"x")
    listed = Disk(tmp_path).files()
    assert next(listed).name == "one"
    (tmp_path / "two").unlink()
    assert list(listed) == []


@pytest.mark.parametrize("said", ["{0}", "file:{0}", "file://{0}", "file://localhost{0}"])
def test_every_form_of_a_local_place_means_it(tmp_path, said):
    folder = tmp_path / "hö m"
    folder.mkdir()
    assert local_folder(said.format(folder)) == folder
    assert local_folder(folder.as_uri()) == folder  # as other programs write it
    assert file_uri(folder) == f"file://{folder}"


def test_no_other_place_is_taken_for_a_local_one():
    assert local_folder("s3://bucket/folder") is None
    assert local_folder("s3:/bucket") is None
    with pytest.raises(StorageError, match=r"savepoints\.location"):
        open_storage("s3:/bucket", load("local"))


def test_of_two_who_write_the_version_they_have_read_one_is_told_no(client):
    folder = S3Folder(client, "bucket")
    first = folder.swap("journal", b"1", None)
    assert first
    assert folder.swap("journal", b"x", None) is None  # it is there already
    second = folder.swap("journal", b"2", first)
    assert second
    assert folder.swap("journal", b"x", first) is None
    assert folder.tagged("journal") == (b"2", second)
    assert folder.tagged("none") is None
    assert folder.swap("none", b"x", first) is None  # deleted meanwhile


def test_a_bucket_that_is_not_there_is_no_somebody_else_who_was_first(client):
    with pytest.raises(StorageError, match="nowhere"):
        S3Folder(client, "nowhere").swap("journal", b"1", None)


def test_a_file_is_uploaded_as_it_is(client, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"zip")
    folder = S3Folder(client, "bucket")
    folder.upload("loyalty/a.zip", tmp_path / "a.zip")
    assert folder.read("loyalty/a.zip") == b"zip"


class TestListing(ListingContract):
    """As Amazon lists, and as the local stand-in does; tests/integration runs it on the stand-in itself."""

    @pytest.fixture(params=["amazon", "stand-in"])
    def held(self, request) -> Held:
        s3 = ListedS3(request.param)
        s3.keys = {f"history/{name}" for name in FILES} | {"history", "historya", "i"}
        return Held(
            S3Folder(s3.client, "bucket", "history"),
            lambda name: s3.keys.add(f"history/{name}"),
            lambda name: s3.keys.discard(f"history/{name}"),
        )


def days(s3: ListedS3, *bounds: str) -> list[str]:
    return [day for day, _ in of_days(S3Folder(s3.client, "bucket"), "h", *bounds)]


@pytest.mark.parametrize("kind", ["amazon", "stand-in"])
def test_of_a_history_only_the_days_asked_for_are_listed(kind):
    s3 = ListedS3(kind)
    s3.keys = {f"h/{name}" for name in FILES} | {
        "h/_replayed/date=2021-01-01/x",
        "h/date=2021-01-01/_x",
    }
    assert days(s3) == DAYS
    s3.asked = 0
    assert days(s3, DAYS[1_100], DAYS[1_102]) == DAYS[1_100:1_103]
    assert days(s3, DAYS[2_000]) == DAYS[2_000:]
    assert days(s3, "", DAYS[2]) == DAYS[:3]
    assert s3.asked == 3
    assert days(s3, DAYS[5], DAYS[4]) == days(s3, "2099-01-01") == []


@pytest.mark.parametrize("kind", ["amazon", "stand-in"])
def test_who_reads_no_further_lists_no_further(kind):
    s3 = ListedS3(kind)
    s3.keys = set(FILES)
    assert next(S3Folder(s3.client, "bucket").files()).name == FILES[0]
    assert s3.asked == 1
