"""Side-by-side runs against peers: `python -m bench`. See bench/README.md for the figures."""
