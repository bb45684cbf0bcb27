"""Files, standard input and the endpoint: what was handed over is safe before anybody is told so."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.till.fakes import FakeTarget, open_spool, settings
from tests.till.test_forwarder import eventually
from tillstream.clients import retry
from tillstream.errors import Problem
from tillstream.till import endpoint, files
from tillstream.till.endpoint import Endpoint
from tillstream.till.files import Folder
from tillstream.till.forwarder import Forwarder
from tillstream.till.lines import Lines
from tillstream.till.progress import Progress
from tillstream.till.service import serve
from tillstream.till.spool import Limits


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "RETRY_AFTER_S", (0.001, 0.001, 0.001))
    monkeypatch.setattr(files, "FULL_S", 0.02)


@pytest.fixture
def target() -> FakeTarget:
    return FakeTarget()


@pytest.fixture
def forwarder(tmp_path: Path, target: FakeTarget) -> Iterator[Forwarder]:
    spool = open_spool(tmp_path / "spool", Limits(40, 10**9, 0))
    found = Forwarder(spool, target, settings(batch_records=10))
    yield found
    if not found._finishing:
        found.close()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def sale(customer: str, n: int = 0) -> bytes:
    return json.dumps({"schema": 1, "customer_id": customer, "n": n}).encode()


def folder(inbox: Path, forwarder: Forwarder, said: list[str] | None = None, **more: Any) -> Folder:
    told = said.append if said is not None else lambda text: None
    own = {"batch_records": 10, "record_bytes": 1000, "say": told} | more
    return Folder(inbox, forwarder, "till-7", **own)


NOW = threading.Event()


def test_a_file_is_forwarded_line_by_line_as_it_is_and_then_deleted(inbox, forwarder, target):
    lines = [sale("C1"), b"\xff\xfe no JSON", b"", b"  ", b'{"a": 1}\r', sale("C2")]
    (inbox / "a.ndjson").write_bytes(b"\n".join(lines))
    assert folder(inbox, forwarder).once(NOW) == 1
    assert sorted(target.taken) == sorted(
        [("C1", lines[0]), ("till-7", lines[1]), ("till-7", lines[4]), ("C2", lines[5])]
    )
    assert list(inbox.iterdir()) == []


def test_files_are_taken_by_name_and_unfinished_ones_left(inbox, forwarder, target) -> None:
    for name in ("b", "a", "c", ".hidden", "d.tmp", "e.part", "f.refused"):
        (inbox / name).write_bytes(sale("C1", ord(name[0])))
    (inbox / "folder").mkdir()
    (inbox / "link").symlink_to(inbox / "d.tmp")
    assert folder(inbox, forwarder).once(NOW) == 3
    assert target.of("C1") == [sale("C1", ord(name)) for name in "abc"]
    assert len(list(inbox.iterdir())) == 6


def test_a_file_goes_to_the_folder_of_those_done_under_a_free_name(
    inbox, forwarder, target, tmp_path
) -> None:
    done = tmp_path / "done"
    done.mkdir()
    for n in range(2):
        (inbox / "a").write_bytes(sale("C1", n))
        folder(inbox, forwarder, done=done).once(NOW)
    assert (done / "a").read_bytes() == sale("C1", 0)
    assert (done / "a.2").read_bytes() == sale("C1", 1)


def test_while_the_line_is_down_files_are_safe_in_the_spool(inbox, forwarder, target) -> None:
    target.away = True
    (inbox / "a").write_bytes(sale("C1"))
    folder(inbox, forwarder).once(NOW)
    assert not (inbox / "a").exists()
    assert forwarder.spool.sums.waiting == 1


def test_a_file_that_was_half_read_goes_on_where_it_was_safe(inbox, forwarder, target) -> None:
    lines = [sale("C1", n) for n in range(35)]
    (inbox / "a").write_bytes(b"\n".join(lines))
    real, stop, calls = forwarder.accept_many, threading.Event(), []

    def killed_in_the_third(records: Any) -> None:
        calls.append(records)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(records)

    forwarder.accept_many = killed_in_the_third
    with pytest.raises(KeyboardInterrupt):
        folder(inbox, forwarder).once(stop)
    forwarder.accept_many = real
    assert folder(inbox, forwarder).once(stop) == 1
    assert target.of("C1") == lines
    assert forwarder.spool.read_of("a") is None


def test_another_file_of_the_same_name_is_read_from_its_beginning(inbox, forwarder, target) -> None:
    forwarder.spool.note_read("a", 10, b"of what was there before")
    (inbox / "a").write_bytes(sale("C1") + b"\n" + sale("C2"))
    folder(inbox, forwarder).once(NOW)
    assert len(target.taken) == 2


def test_a_file_with_a_line_too_long_to_be_a_record_is_set_aside_whole_and_said(
    inbox, forwarder, target
) -> None:
    said: list[str] = []
    forwarder.progress = Progress("fake", None, said.append)
    (inbox / "a").write_bytes(sale("C1") + b"\n" + b"4111111111111111" * 100)
    (inbox / "b").write_bytes(sale("C2"))
    assert folder(inbox, forwarder).once(NOW) == 1
    assert target.taken == [("C2", sale("C2"))]
    assert (inbox / "a.refused").exists()
    assert "more than 1,000 bytes" in said[0]
    assert "4111" not in said[0]


def test_a_full_spool_holds_a_file_back_until_there_is_room(inbox, forwarder, target) -> None:
    said: list[str] = []
    target.away = True
    lines = [sale(f"C{n}") for n in range(100)]
    (inbox / "a").write_bytes(b"\n".join(lines))
    watching = threading.Thread(target=folder(inbox, forwarder, said).once, args=(NOW,))
    watching.start()
    eventually(lambda: said)
    assert forwarder.spool.sums.waiting == 40
    assert (inbox / "a").exists()
    target.away = False
    watching.join(20)
    assert not (inbox / "a").exists()
    eventually(lambda: len(target.taken) == 100)
    assert "till.spool_records" in said[0]


@pytest.mark.parametrize("what", ["missing", "file"])
def test_a_folder_that_is_none_is_one_line(tmp_path, forwarder, what: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="is not a folder"):
        folder(tmp_path / what, forwarder)


def lines_of(forwarder: Forwarder, source: int, safe: list[int]) -> Lines:
    return Lines(source, forwarder, "till-7", batch_records=10, record_bytes=1000, safe=safe.append)


def test_lines_of_the_input_are_counted_once_they_are_safe(forwarder, target) -> None:
    reads, writes = os.pipe()
    safe: list[int] = []
    os.write(writes, b"\n".join([sale("C1", n) for n in range(25)]))
    os.close(writes)
    lines_of(forwarder, reads, safe).run(threading.Event())
    assert target.of("C1") == [sale("C1", n) for n in range(25)]
    assert safe[-1] == 25
    os.close(reads)


def test_a_line_that_is_never_finished_ends_the_input_before_memory_does(forwarder) -> None:
    reads, writes = os.pipe()
    os.write(writes, sale("C1") + b"\n" + b"x" * 5000)
    with pytest.raises(Problem, match=r"more than 1,000 bytes.*0 lines are safe"):
        lines_of(forwarder, reads, []).run(threading.Event())
    os.close(reads)
    os.close(writes)


@pytest.fixture
def listening(forwarder: Forwarder) -> Iterator[Endpoint]:
    stop = threading.Event()
    found = Endpoint(0, forwarder, "till-7", 5000)
    thread = threading.Thread(target=found.run, args=(stop,))
    thread.start()
    yield found
    stop.set()
    thread.join()


def post(to: Endpoint, body: bytes, **headers: str) -> tuple[int, dict[str, Any], Any]:
    line = http.client.HTTPConnection(to.url.removeprefix("http://"), timeout=20)
    line.request("POST", "/records", body, {k.replace("_", "-"): v for k, v in headers.items()})
    answer = line.getresponse()
    said = answer.status, json.loads(answer.read()), answer.headers
    line.close()
    return said


def test_a_post_is_one_record_whatever_is_in_it(listening, target) -> None:
    pretty = b'{\n  "customer_id": "C1"\n}\n'
    assert post(listening, pretty)[:2] == (200, {"safe": True})
    assert post(listening, b"\x1f\x8b\n\x00")[0] == 200
    assert post(listening, b"")[0] == 200
    assert target.taken == [("C1", pretty), ("till-7", b"\x1f\x8b\n\x00")]


def test_a_post_of_lines_is_a_record_each(listening, target) -> None:
    body = sale("C1") + b"\n\n" + sale("C2") + b"\n"
    assert post(listening, body, Content_Type="application/x-ndjson; charset=utf-8")[0] == 200
    assert sorted(target.taken) == [("C1", sale("C1")), ("C2", sale("C2"))]


def test_what_is_too_large_is_refused_whole(listening, target) -> None:
    assert post(listening, b"x" * 5001)[0] == 413
    target.largest = 100
    body = sale("C1") + b"\n" + b"x" * 101
    status, said, _ = post(listening, body, Content_Type="application/x-ndjson")
    assert (status, said["error"]) == (
        413,
        "a record is too large; nothing of the request was taken",
    )
    assert target.taken == []


def test_a_full_spool_is_a_503_that_says_when_to_come_back(listening, target, forwarder) -> None:
    target.away = True
    forwarder.accept_many([(f"C{n}", b"") for n in range(40)])
    status, said, headers = post(listening, sale("C1"))
    assert status == 503
    assert headers["Retry-After"] == str(endpoint.RETRY_AFTER_S)
    assert "till.spool_records" in said["error"]


def test_a_forwarder_that_ends_is_a_503(listening, forwarder) -> None:
    forwarder.close()
    assert post(listening, sale("C1"))[0] == 503


def test_other_requests_are_answered_too(listening) -> None:
    line = http.client.HTTPConnection(listening.url.removeprefix("http://"), timeout=20)
    line.request("GET", "/")
    answer = line.getresponse()
    assert json.loads(answer.read()) == {"safe": True, "waiting": 0, "refused": 0}
    line.request("POST", "/elsewhere", b"")
    assert line.getresponse().status == 404
    line.close()
    line.putrequest("POST", "/records")
    line.endheaders()
    assert line.getresponse().status == 411
    line.close()


def test_only_this_machine_is_listened_to(listening) -> None:
    assert listening._server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_one_line(listening, forwarder) -> None:
    port = int(listening.url.rpartition(":")[2])
    with pytest.raises(Problem, match=rf"port {port}.*give another --listen"):
        Endpoint(port, forwarder, "till", 10)


def test_an_intake_that_ends_by_a_fault_ends_all_once_what_was_accepted_is_safe(
    forwarder, target
) -> None:
    class Broken:
        def run(self, stop: threading.Event) -> None:
            forwarder.accept("C1", b"1")
            raise Problem("the folder is gone")

    with pytest.raises(Problem, match="the folder is gone"):
        serve(forwarder, [Broken()], threading.Event())
    assert target.taken == [("C1", b"1")]
