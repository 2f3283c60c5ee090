"""Reads PyTorch's checkpoint files of before version 1.6 without PyTorch, and without running what they say.

Such a file is five pickles (magic number, protocol, machine, checkpoint, keys of the storages), then each storage: its
number of elements as a 64-bit integer, then its elements (`torch.serialization._legacy_load`). A pickle is a program
that may call anything it can name: this one may name three things, and is searched for odd and greedy steps before it runs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
import hashlib
import io
from pathlib import Path
import pickle
import pickletools
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FILE_MAX_BYTES: Final = 64 * 1024 * 1024
_PICKLES_MAX_BYTES: Final = 64 * 1024
_MEMO_MAX: Final = 16_384
_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_DTYPE: Final = np.dtype("<f4")
_COUNT: Final = np.dtype("<i8")
# What PyTorch's pickler writes; anything else is somebody else's work.
_OPCODES: Final = frozenset(
    [
        "APPEND",
        "APPENDS",
        "BINFLOAT",
        "BINGET",
        "BININT",
        "BININT1",
        "BININT2",
        "BINPERSID",
        "BINPUT",
        "BINUNICODE",
        "BUILD",
        "EMPTY_DICT",
        "EMPTY_LIST",
        "EMPTY_TUPLE",
        "GLOBAL",
        "LONG1",
        "LONG_BINGET",
        "LONG_BINPUT",
        "MARK",
        "NEWFALSE",
        "NEWTRUE",
        "NONE",
        "PROTO",
        "REDUCE",
        "SETITEM",
        "SETITEMS",
        "STOP",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
    ]
)
_MEMO_OPCODES: Final = frozenset(("BINPUT", "LONG_BINPUT"))


class BadCheckpoint(ValueError):
    """The file is no checkpoint of this kind, is damaged, or asks for what it may not have."""


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage further down in the file; offset and stride count numbers."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_checkpoint(path: Path, sha256: str) -> dict[str, NDArray[np.float32]]:
    """The tensors of the checkpoint's `model_state`, by name; raises BadCheckpoint, OSError.

    Only the file with this checksum is read: a pickle of a stranger's may still be one that never ends.
    """
    if (size := path.stat().st_size) > FILE_MAX_BYTES:
        raise BadCheckpoint(f"it has {size} bytes, more than {FILE_MAX_BYTES}")
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise BadCheckpoint(f"its SHA-256 is {found}, not {sha256}: it is damaged or of another version")
    try:
        return _read(content)
    except BadCheckpoint:
        raise
    # A broken pickle fails in as many ways as there are opcodes.
    except (
        *(pickle.UnpicklingError, ValueError, TypeError, LookupError, AttributeError),
        *(ArithmeticError, EOFError, RecursionError),
    ) as error:
        raise BadCheckpoint(f"it is not made as a checkpoint is ({type(error).__name__})") from error


def _read(content: bytes) -> dict[str, NDArray[np.float32]]:
    # The pickles see no more than this: the numbers behind them need no interpreter.
    head = io.BytesIO(content[:_PICKLES_MAX_BYTES])
    if _load(head) != _MAGIC or _load(head) != _PROTOCOL:
        raise BadCheckpoint("it is no PyTorch checkpoint of before version 1.6")
    if not _load(head)["little_endian"]:
        raise BadCheckpoint("it was written on a big-endian machine")
    checkpoint, keys = _load(head), _load(head)
    storages = _read_storages(content, head.tell(), keys)
    tensors = {name: value for name, value in checkpoint["model_state"].items() if isinstance(value, _Tensor)}
    return {name: _resolve(name, tensor, storages) for name, tensor in tensors.items()}


def _read_storages(content: bytes, position: int, keys: list[str]) -> dict[str, NDArray[np.float32]]:
    storages = {}
    for key in keys:
        count = int(np.frombuffer(content, _COUNT, 1, position)[0])
        position += _COUNT.itemsize
        if not 0 <= count <= (len(content) - position) // _DTYPE.itemsize:
            raise BadCheckpoint(f"it ends early: storage {key} should have {count} numbers")
        storages[key] = np.frombuffer(content, _DTYPE, count, position)
        position += count * _DTYPE.itemsize
    return storages


def _resolve(name: str, tensor: _Tensor, storages: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    storage = storages[tensor.storage]
    count = int(np.prod(tensor.shape, dtype=object))
    rows_first = tuple(int(np.prod(tensor.shape[axis + 1 :], dtype=object)) for axis in range(len(tensor.shape)))
    if tensor.stride != rows_first:
        raise BadCheckpoint(f"{name} does not lie in one piece")
    if not 0 <= tensor.offset <= tensor.offset + count <= storage.size:
        raise BadCheckpoint(f"{name} reaches beyond its storage")
    return storage[tensor.offset : tensor.offset + count].reshape(tensor.shape).astype(np.float32)


class _Unpickler(pickle.Unpickler):
    """Knows the three names that such a checkpoint needs."""

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise BadCheckpoint(f"it asks for {module}.{name}, which no checkpoint needs") from None

    def persistent_load(self, pid: object) -> str:
        match pid:
            case ("storage", "FloatStorage", str(key), str(_), int(_), None):
                return key
        raise BadCheckpoint("it has a storage that is not of 32-bit floats")


def _empty_dict() -> OrderedDict[str, Any]:
    """Stands in for `OrderedDict`, which would copy whatever it is given."""
    return OrderedDict()


def _rebuild_tensor(storage: str, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object) -> _Tensor:
    """Stands in for `torch._utils._rebuild_tensor_v2`."""
    return _Tensor(storage, offset, shape, stride)


_ALLOWED: Final[dict[tuple[str, str], Callable[..., Any] | str]] = {
    ("collections", "OrderedDict"): _empty_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): "FloatStorage",
}


def _load(file: io.BytesIO) -> Any:
    """The next pickle's object; the file stands behind it afterwards."""
    begin = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name not in _OPCODES:
            raise BadCheckpoint(f"it uses the pickle opcode {opcode.name}, which no checkpoint needs")
        # The memo is an array: one that is told to hold its four-billionth entry fills the memory with nothing.
        if opcode.name in _MEMO_OPCODES and argument is not None and argument > _MEMO_MAX:
            raise BadCheckpoint(f"it remembers more than {_MEMO_MAX} objects")
    file.seek(begin)
    return _Unpickler(file).load()
