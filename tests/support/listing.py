"""Listing S3: what it has to do, said once, and a small S3 that lists as Amazon or as the stand-in does."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

from botocore.awsrequest import AWSResponse

from tillstream.clients import aws
from tillstream.clients.storage import S3Folder

PAGE = 1_000
DAYS = [f"{2020 + n // 336}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02}" for n in range(2_500)]
# Each name has what is written otherwise in a URL, so that every page ends in such a one.
FILES = [f"date={day}/region=50 %2B+ü/part-0.parquet" for day in DAYS]


class ListedS3:
    """Answers ``list`` of a client by ``keys``, in pages, over the wire's XML.

    amazon: tokens say nothing, and are never encoded; a marker only where names are rolled up.
    stand-in, as s3proxy 4.0.0 was seen to: the token is the last key, encoded as the keys are, and is
    taken as it comes; a marker always.
    """

    def __init__(self, kind: Literal["amazon", "stand-in"]) -> None:
        self.kind = kind
        self.keys: set[str] = set()
        self.asked = 0
        self.client = aws.client("s3", "http://127.0.0.1:1", "us-east-1", basic=True)
        self.client.meta.events.register("before-send.s3", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        self.asked += 1
        asked = {name: found[0] for name, found in parse_qs(urlsplit(request.url).query).items()}
        token = asked.get("continuation-token", "")
        if token and self.kind == "amazon":
            token = b64decode(token).decode()
        after = token or asked.get("marker") or asked.get("start-after", "")
        rolled = self._rolled(asked.get("prefix", ""), asked.get("delimiter", ""))
        # Inside a folder every key is after the folder's own name, unless the name is where a page ended.
        whole = "start-after" not in asked or bool(token)
        left = [name for name in rolled if name > after or (not whole and name == after)]
        page = left[: int(asked.get("max-keys", PAGE))]
        return AWSResponse(
            request.url,
            200,
            {"Content-Type": "application/xml"},
            _Raw(self._xml(asked, page, left)),
        )

    def _rolled(self, prefix: str, delimiter: str) -> list[str]:
        found = set()
        for key in self.keys:
            if key.startswith(prefix):
                head, cut, _ = key[len(prefix) :].partition(delimiter or "\0")
                found.add(prefix + head + cut)
        return sorted(found)

    def _xml(self, asked: dict[str, str], page: list[str], left: list[str]) -> bytes:
        coded = quote if asked.get("encoding-type") == "url" else lambda name: name
        items, truncated = [], len(left) > len(page)
        for name in page:
            if asked.get("delimiter") and name.endswith(asked["delimiter"]):
                items.append(_tag("CommonPrefixes", _tag("Prefix", escape(coded(name)))))
            else:
                said = "<LastModified>2026-01-05T00:00:00.000Z</LastModified><Size>1</Size>"
                items.append(_tag("Contents", _tag("Key", escape(coded(name))) + said))
        if truncated and "list-type" in asked:
            amazon = b64encode(page[-1].encode()).decode()
            token = amazon if self.kind == "amazon" else coded(page[-1])
            items.append(_tag("NextContinuationToken", escape(token)))
        elif truncated and (asked.get("delimiter") or self.kind == "stand-in"):
            items.append(_tag("NextMarker", escape(coded(page[-1]))))
        items.append(_tag("IsTruncated", str(truncated).lower()))
        if "encoding-type" in asked:
            items.append(_tag("EncodingType", "url"))
        return _tag("ListBucketResult", "".join(items)).encode()


def _tag(name: str, inner: str) -> str:
    return f"<{name}>{inner}</{name}>"


class _Raw:
    """A body as the wire brings it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self._body


class Held(NamedTuple):
    """A folder that holds FILES; ``put`` and ``drop`` one more or one less, by name."""

    folder: S3Folder
    put: Any
    drop: Any


class ListingContract:
    """``held`` is a fixture; what a test puts or drops it takes back."""

    def test_every_file_is_listed_once_and_by_name(self, held: Held):
        assert [file.name for file in held.folder.files()] == FILES

    def test_every_folder_is_listed_once(self, held: Held):
        assert held.folder.folders() == [f"date={day}" for day in DAYS]

    def test_a_listing_begins_where_it_is_asked_to(self, held: Held):
        listed = held.folder.files("date=202", after=f"date={DAYS[1_234]}")
        assert [file.name for file in listed] == FILES[1_234:]
        listed = held.folder.files("date=202", after=FILES[1_234])
        assert [file.name for file in listed] == FILES[1_235:]

    def test_what_comes_and_goes_while_it_is_read_harms_nothing_else(self, held: Held):
        listing = held.folder.files()
        first = [next(listing).name for _ in range(500)]
        page_end, late = FILES[PAGE - 1], "date=9999/late"
        try:
            held.drop(page_end)
            held.put("date=0000/early")
            held.put(late)
            rest = [file.name for file in listing]
        finally:
            for name in ("date=0000/early", late):
                held.drop(name)
            held.put(page_end)
        assert [*first, *rest] == [*FILES, late]
