"""The harness is a package of its own, which `make faults` runs without pytest."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
