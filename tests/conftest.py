"""Thread mode finds Python by PATH and VIRTUAL_ENV, so tests run as an activated environment does."""

import os
import sys
from pathlib import Path

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["VIRTUAL_ENV"] = sys.prefix
os.environ.setdefault("TILLSTREAM_ENV", "local")
