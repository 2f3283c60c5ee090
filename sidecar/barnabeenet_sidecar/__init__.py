"""BarnabeeNet's ears and voice: a server of speech engines for Home Assistant."""

import os

__version__ = "0.1.0"

# Libraries ask for these when they are imported. From 1.31 on onnxruntime would write a device id into the user's home and
# report to its maker; nothing of a home leaves it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
