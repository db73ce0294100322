"""Makes the stored file of this version's store: `python tests/store/old/make.py`, once for each schema version.

Files of earlier versions are never made again: they are what migrations are tested with.
"""

import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import store_fakes as fakes  # noqa: E402

from unitune.store.schema import VERSION  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "old"
        fakes.kept(run, trials=4)
        place = HERE / f"version_{VERSION}.db"
        if place.exists():
            raise SystemExit(f"{place.name} is there already")
        shutil.copy(run / "store.db", place)


if __name__ == "__main__":
    main()
