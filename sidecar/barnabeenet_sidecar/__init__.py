"""BarnabeeNet's ears and voice: a server of speech engines for Home Assistant."""

import os

__version__ = "0.1.0"

# Libraries ask for these when they are imported. From 1.31 on onnxruntime would write a device id into the user's home and
# report to its maker; nothing of a home leaves it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# NumPy's OpenBLAS keeps its threads spinning for some 30 ms after each product of matrices: on two cores, a print of the
# speaker's voice made the words 40 ms later, and makes them 3 ms later without.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
