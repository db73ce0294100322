"""What the contract of stores needs: their fakes."""

import sys
from pathlib import Path

STORE = str(Path(__file__).parents[1] / "store")
if STORE not in sys.path:
    sys.path.insert(0, STORE)
