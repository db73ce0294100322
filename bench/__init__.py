"""Side-by-side runs against peers: `python -m bench`. See bench/README.md for the figures."""

import os

# What an earlier run compiled must not flatter this one. `python -m bench` measures both, with a cache of its own.
os.environ.setdefault("UNITUNE_CACHE", "off")
