"""A zip that depends on nothing but its contents: the same files are the same bytes, anywhere, any time."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tillstream.errors import Problem
from tillstream.package.service import MOST_BYTES, PYTHON

TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can say
FILE, FOLDER = 0o100644, 0o040755
UNIX = 3
Contents = Mapping[str, bytes | Path]


def write(path: Path, contents: Contents) -> None:
    """Names in order, a fixed time and mode, folders named as well, nothing compressed: the jar is already,
    and another zlib would give other bytes. Replaces ``path`` once it is whole."""
    aside = path.with_name(f".{path.name}.part")
    folders = {str(parent) for name in contents for parent in PurePosixPath(name).parents} - {"."}
    names: dict[str, bytes | Path | None] = {**contents, **{f"{one}/": None for one in folders}}
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as made:
        for name in sorted(names):
            said = names[name]
            info = zipfile.ZipInfo(name, TIME)
            info.create_system = UNIX
            info.external_attr = (FOLDER if said is None else FILE) << 16
            if said is None:
                info.external_attr |= 0x10  # a folder, as MS-DOS says it
                made.writestr(info, b"")
            elif isinstance(said, bytes):
                made.writestr(info, said)
            else:
                info.file_size = said.stat().st_size
                with said.open("rb") as file, made.open(info, "w") as out:
                    shutil.copyfileobj(file, out, 2**20)
    aside.replace(path)


def parts(contents: Contents) -> list[tuple[str, int]]:
    """(part, bytes), the largest first: a folder or file at the root, of Python's packages each its own."""
    found: Counter[str] = Counter()
    for name, said in contents.items():
        depth = 2 if name.startswith(f"{PYTHON}/") else 1
        size = len(said) if isinstance(said, bytes) else said.stat().st_size
        found["/".join(name.split("/")[:depth])] += size
    return found.most_common()


def must_fit(contents: Contents, most: int = MOST_BYTES) -> int:
    """Bytes of all files. Raises Problem where the service would not take them, with the largest."""
    sized = parts(contents)
    size = sum(count for _, count in sized)
    if size > most:
        largest = ", ".join(f"{name} {mib(count)}" for name, count in sized[:3])
        raise Problem(
            f"the package would be {mib(size)}, and the service takes {mib(most)}: make its largest parts "
            f"smaller ({largest})"
        )
    return size


def mib(count: int) -> str:
    """134217728 -> 128.0 MiB: limits of AWS are in powers of two."""
    return f"{count / 2**20:,.1f} MiB"


def sha256(source: bytes | Path) -> str:
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
