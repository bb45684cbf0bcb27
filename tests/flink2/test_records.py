"""Flink 2.x reads JSON with a parser that has limits of its own: no record that one may send exceeds them
where a job writes its dead letter."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from tests.flink2 import python_side as flink2
from tillstream import jars

PROGRAM = """
import io.tillstream.flink.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.flink.connector.kafka.sink.DefaultKafkaSinkContext;

public class Letters {
    public static void main(String[] files) throws Exception {
        var records = new DeadLetterRecords("dead");
        var rows = new JsonToRow(ParquetFiles.rowType("ROW<origin STRING, raw_b64 BYTES>"));
        var sink = new DefaultKafkaSinkContext(0, 1, new Properties());
        for (String file : files) {
            List<byte[]> pieces = Pieces.of(Files.readAllBytes(Path.of(file)));
            for (byte[] piece : pieces) {
                new KeyedJson("events", "customer_id").serialize(piece, null, null);
                String raw = Base64.getEncoder().encodeToString(piece);
                byte[] letter =
                        ("{\\"origin\\":\\"tills/0/1\\",\\"raw_b64\\":\\"" + raw + "\\"}")
                                .getBytes(StandardCharsets.ISO_8859_1);
                records.serialize(letter, sink, null);
                rows.map(letter);
            }
            System.out.println(pieces.size());
        }
    }
}
"""


def lines_of(folder: Path, *records: bytes) -> list[str]:
    """How many pieces each was; all went through the classes that write dead letters."""
    (folder / "Letters.java").write_text(PROGRAM)
    files = []
    for number, record in enumerate(records):
        files.append(folder / f"record-{number}")
        files[-1].write_bytes(record)
    there = sorted((flink2.folder() / "jars").glob("*.jar"))
    path = ":".join(map(str, [*there, jars.ensure_jars(print).job]))
    command = ["java", "-Xmx1g", "-cp", path, str(folder / "Letters.java"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr[-3000:]
    return done.stdout.split()


@pytest.mark.long  # fetches some 330 MB, once
@pytest.mark.timeout(1800)
def test_no_record_is_too_much_for_its_dead_letter(tmp_path):
    flink2.fetch(flink2.folder())
    records = [
        *(gzip.compress(b"x" * (mib << 20)) for mib in (7, 9, 15, 16)),
        b'{"n":' + b"9" * 1_200 + b"}",
        b'{"a":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b'{"' + b"k" * 60_000 + b'":1}',
    ]
    assert lines_of(tmp_path, *records) == ["1"] * len(records)
