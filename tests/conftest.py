"""What every test shares: a quiet TensorFlow, pictures without a screen."""

import os

# Before the first import of either: TensorFlow reads its log level once, and Matplotlib its backend.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
