"""A measurement in a process of its own, so that every compilation counts and memory is its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def run_apart(module: str, *arguments: object, cache: str | None = None) -> Any:
    """What the last line says, as JSON, that `python -m module arguments` prints.

    Args:
        module: `"bench.defaults"`, say.
        arguments: Of its command line.
        cache: Where its programs are kept, as `UNITUNE_CACHE` says it; that of this process if None.

    Raises:
        SystemExit: It failed.
    """
    words = [str(argument) for argument in arguments]
    environment = dict(os.environ) if cache is None else {**os.environ, "UNITUNE_CACHE": cache}
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(words)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
