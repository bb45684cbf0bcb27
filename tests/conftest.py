"""Thread mode finds Python by PATH and VIRTUAL_ENV, so tests run as an activated environment does."""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["VIRTUAL_ENV"] = sys.prefix
os.environ.setdefault("TILLSTREAM_ENV", "local")

# A busy machine is no fault of what is tested.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")
