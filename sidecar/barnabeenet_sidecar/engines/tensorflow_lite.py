"""Small streaming networks of TensorFlow Lite, run without copies: the library, the model's weights, one network each."""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
from ctypes import c_char_p, c_float, c_int8, c_int32, c_size_t, c_uint8, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Final
import weakref

import numpy as np

_OK: Final = 0
_UINT8: Final = 3
_INT8: Final = 9


class _Quantisation(ctypes.Structure):
    _fields_ = (("scale", c_float), ("zero_point", c_int32))


# From tensorflow/lite/core/c/c_api.h: result, then arguments.
_SIGNATURES: Final = {
    "ModelCreateFromFile": (c_void_p, c_char_p),
    "ModelDelete": (None, c_void_p),
    "InterpreterCreate": (c_void_p, c_void_p, c_void_p),
    "InterpreterDelete": (None, c_void_p),
    "InterpreterAllocateTensors": (c_int32, c_void_p),
    "InterpreterInvoke": (c_int32, c_void_p),
    "InterpreterGetInputTensor": (c_void_p, c_void_p, c_int32),
    "InterpreterGetOutputTensor": (c_void_p, c_void_p, c_int32),
    "TensorByteSize": (c_size_t, c_void_p),
    "TensorData": (c_void_p, c_void_p),
    "TensorDim": (c_int32, c_void_p, c_int32),
    "TensorType": (c_int32, c_void_p),
    "TensorQuantizationParams": (_Quantisation, c_void_p),
}


def _declared(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    for name, (result, *arguments) in _SIGNATURES.items():
        function = getattr(library, f"TfLite{name}")
        function.restype, function.argtypes = result, arguments
    return library


@dataclass(frozen=True)
class Levels:
    """The bytes that stand for values in a network's 8-bit input."""

    scale: float
    zero_point: int

    def of(self, values: Sequence[float]) -> bytes:
        """A byte for each value; ties go to the even number, as numpy and the trainer of the models have it."""
        return np.rint(np.array(values) / self.scale + self.zero_point).astype(np.int16).astype(np.uint8).tobytes()


class NetworkModel:
    """A model's weights, shared by all networks that run it: 8-bit input of `step_bytes`, one 8-bit output.

    Raises OSError when the library cannot be loaded, ValueError when the file is no such model.
    """

    def __init__(self, library: Path, model: Path) -> None:
        self.library = _declared(library)
        self.address = self.library.TfLiteModelCreateFromFile(bytes(model))
        if not self.address:
            raise ValueError(f"{model.name} is not a TensorFlow Lite model")
        weakref.finalize(self, self.library.TfLiteModelDelete, self.address)
        network = Network(self)
        taken, given = network.input_tensor, network.output_tensor
        if self.library.TfLiteTensorType(taken) not in (_INT8, _UINT8) or (
            self.library.TfLiteTensorType(given) != _UINT8 or self.library.TfLiteTensorByteSize(given) != 1
        ):
            raise ValueError(f"{model.name} does not take 8-bit features and give one 8-bit probability")
        wanted, made = (self.library.TfLiteTensorQuantizationParams(tensor) for tensor in (taken, given))
        self.levels = Levels(wanted.scale, wanted.zero_point)
        self.output_scale: float = made.scale
        self.output_zero_point: int = made.zero_point
        self.step_features: int = self.library.TfLiteTensorDim(taken, 1)
        self.step_bytes: int = self.library.TfLiteTensorByteSize(taken)


class Network:
    """One network with its own memory of what it was fed; raises ValueError when it cannot be made."""

    def __init__(self, model: NetworkModel) -> None:
        # Held so that the weights outlive it.
        self.model = model
        library = model.library
        address = library.TfLiteInterpreterCreate(model.address, None)
        if not address:
            raise ValueError("the model has operations that this TensorFlow Lite does not know")
        weakref.finalize(self, _delete, model, address)
        if library.TfLiteInterpreterAllocateTensors(address) != _OK:
            raise ValueError("there is no memory for a network")
        self.input_tensor = library.TfLiteInterpreterGetInputTensor(address, 0)
        self.output_tensor = library.TfLiteInterpreterGetOutputTensor(address, 0)
        self._address = c_void_p(address)
        self._invoke = library.TfLiteInterpreterInvoke
        # They stay where they are, as no tensor changes its size.
        self._taken = _memory(c_int8, library, self.input_tensor)
        self._given = _memory(c_uint8, library, self.output_tensor)

    def run(self, step: bytes) -> int:
        """Takes `step_bytes` and gives the output as it is, 0 to 255; raises RuntimeError when it breaks."""
        self._taken[:] = step
        if self._invoke(self._address):
            raise RuntimeError("TensorFlow Lite could not run a wake word's network")
        return self._given[0]


def _memory(kind: type[c_int8 | c_uint8], library: ctypes.CDLL, tensor: int) -> memoryview:
    size = library.TfLiteTensorByteSize(tensor)
    return memoryview((kind * size).from_address(library.TfLiteTensorData(tensor))).cast("B")


def _delete(model: NetworkModel, address: int) -> None:
    # The model is an argument so that its weights are freed last.
    model.library.TfLiteInterpreterDelete(address)
