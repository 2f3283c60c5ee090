"""Runs of onnxruntime that can be stopped; import it only to load a model."""

from __future__ import annotations

from typing import Final

from onnxruntime import InferenceSession, RunOptions

from .device import Device
from .model_thread import Stop

_FATAL: Final = 4


def run_options(stop: Stop) -> RunOptions:
    """Options of a run that ends, with an error that nobody waits for, when its job is told to stop."""
    options = RunOptions()
    # Otherwise onnxruntime writes to the console that it was stopped.
    options.log_severity_level = _FATAL
    stop.on_set(lambda: setattr(options, "terminate", True))
    return options


def placement(session: InferenceSession, device: Device, precision: str) -> str:
    """Where a session computes and how, for people: onnxruntime takes the processor by itself when CUDA fails."""
    is_there = session.get_providers()[0] == device.providers[0]
    return f"{device if is_there else 'the processor, for CUDA failed,'} in {precision or 'its own precision'}"
