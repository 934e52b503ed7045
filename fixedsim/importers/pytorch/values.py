"""What the pickle of a state dictionary may build: tensors as views of storages, and names that are never imported.

A name is looked up in the tables here and nowhere else. Objects that a checkpoint may hold beside its tensors, such as
a folder or a set, become an :class:`Opaque` value.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from fixedsim.errors import FileError

MAX_AXES = 8
BFLOAT16 = "bfloat16"
STORAGE_DTYPES: Final = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": BFLOAT16,
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "u1",
}  # fmt: skip
_DTYPES = (
    "float16", "float32", "float64", "float", "half", "double", "bfloat16", "uint8", "int8", "int16", "int32", "int64",
    "short", "int", "long", "bool", "qint8", "quint8", "qint32", "complex64", "complex128",
)  # fmt: skip
_QUANTIZED = (
    "torch._utils._rebuild_qtensor",
    *(f"torch.{name}Storage" for name in ("QInt8", "QUInt8", "QInt32", "QUInt4x2", "QUInt2x4")),
)
_HOLDERS = {
    "builtins.set", "builtins.frozenset", "builtins.bytearray", "builtins.complex", "builtins.slice", "builtins.range",
    "_codecs.encode", "torch.device", "argparse.Namespace", "collections.defaultdict", "collections.Counter",
    "collections.deque", "pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath",
    "numpy.dtype", "numpy.ndarray", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "datetime.datetime",
    "datetime.timedelta",
}  # fmt: skip
_TYPES = ("builtins.list", "builtins.dict", "builtins.int", "builtins.float", "builtins.str", "builtins.bool")
_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETERS = {"torch._utils._rebuild_parameter": 3, "torch._utils._rebuild_parameter_with_state": 4}
_ORDERED = "collections.OrderedDict"
_SIZE = "torch.Size"
_STORAGES = {f"{module}.{kind}": dtype for module in ("torch", "torch.cuda") for kind, dtype in STORAGE_DTYPES.items()}
_KNOWN = {
    *_HOLDERS, *_TYPES, _TENSOR, *_PARAMETERS, _ORDERED, _SIZE, *_STORAGES, *(f"torch.{name}" for name in _DTYPES)
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Name:
    """A name of the table, as text."""

    text: str


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that no one asks for; ``kind`` says what made it."""

    kind: str


@dataclass(frozen=True, slots=True)
class Storage:
    """``elements`` numbers of ``dtype`` (a NumPy code, or ``bfloat16``) that stand in the file under ``key``."""

    dtype: str
    key: str
    elements: int


@dataclass(frozen=True, slots=True)
class View:
    """A tensor: element ``i, j, ..`` is number ``offset + i * strides[0] + j * strides[1] + ..`` of its storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Their number, which views with a stride of zero can make larger than the storage."""
        return math.prod(self.shape)


def looked_up(module: str, name: str) -> Name:
    """The entry of the table.

    Raises:
        FileError: a name that is not in it.
    """
    text = f"{module.replace('__builtin__', 'builtins')}.{name}"
    if text in _QUANTIZED:
        raise FileError(f"tensors must be floating point, not quantized by {text!r}; save the float model instead")
    if text not in _KNOWN:
        raise FileError(
            f"name {text[:200]!r} must be one that a state dictionary needs, not another, and is not imported; in the "
            "trainer, save model.state_dict() and not the module"
        )
    return Name(text)


def stored(identity: Any) -> Storage:
    """The storage that a persistent id names: ``("storage", type, key, device, elements)``.

    Raises:
        FileError: another persistent id.
    """
    if isinstance(identity, tuple) and identity and identity[0] == "module":
        raise FileError(
            "file must hold a state dictionary, not a whole module; in the trainer, save model.state_dict()"
        )
    if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
        raise FileError(f"persistent id must be a storage's, not a {type(identity).__name__} of another form")
    _, kind, key, _, elements = identity[:5]
    if not isinstance(kind, Name) or kind.text not in _STORAGES:
        raise FileError(f"type of a storage must be one of torch's, not {shown(kind)}")
    if not isinstance(key, str) or not (key.isascii() and key.isdigit()):
        raise FileError(f"key of a storage must be digits, not {shown(key)}")
    if not _is_count(elements):
        raise FileError(f"storage {key!r} must have a number of elements, not {shown(elements)}")
    if len(identity) == 6 and identity[5] is not None:
        raise FileError(f"storage {key!r} must be whole, not a view of another; save it with PyTorch 1.0 or newer")
    return Storage(_STORAGES[kind.text], key, elements)


def called(function: Any, arguments: Any) -> Any:
    """What a name of the table gives for its arguments.

    Raises:
        FileError: arguments that do not fit, or what is no function.
    """
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        raise FileError(f"what is called must be a name with a tuple, not {shown(function)} with {shown(arguments)}")
    if function.text == _TENSOR:
        return _tensor(arguments)
    if function.text in _PARAMETERS:
        if len(arguments) != _PARAMETERS[function.text] or not isinstance(arguments[0], View):
            raise FileError("parameter must hold a tensor, not other arguments")
        return arguments[0]
    if function.text == _ORDERED:
        return _ordered(arguments)
    if function.text == _SIZE:
        if len(arguments) != 1 or not isinstance(arguments[0], tuple | list):
            raise FileError("torch.Size must hold one tuple, not other arguments")
        return tuple(arguments[0])
    if function.text in _HOLDERS:
        return Opaque(function.text)
    raise FileError(f"name {function.text!r} must be a function to be called, not another")


def put(target: dict[str, Any], key: Any, value: Any) -> None:
    """``target[key] = value``. Keys that are no text become text, so that no hash but a text's is taken.

    Raises:
        FileError: a text that stands twice.
    """
    if isinstance(key, str):
        if key in target:
            raise FileError(f"key {key[:200]!r} must stand once in a dictionary, not twice")
        target[key] = value
    else:
        target[shown(key)] = value


def shown(value: Any) -> str:
    """A few characters for a message; no value is walked through."""
    match value:
        case str() | bytes():
            return repr(value[:100])
        case int() | float() | None:
            return repr(value)[:100]
        case Name():
            return value.text
        case Opaque():
            return value.kind
    return f"a {type(value).__name__.lower()}"


def _ordered(arguments: tuple[Any, ...]) -> dict[str, Any]:
    """An empty dictionary, or that of a list of pairs, which Python 2 writes."""
    pairs = arguments[0] if len(arguments) == 1 else []
    if len(arguments) > 1 or not isinstance(pairs, list):
        raise FileError("OrderedDict must be made of nothing or of a list of pairs, not of other arguments")
    made: dict[str, Any] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise FileError(f"OrderedDict must be made of pairs, not of {shown(pair)}")
        put(made, *pair)
    return made


def _tensor(arguments: tuple[Any, ...]) -> View:
    """``_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks[, metadata])``."""
    if len(arguments) not in (6, 7) or not isinstance(arguments[0], Storage):
        raise FileError("tensor must be made of a storage, offset, shape and strides, not of other arguments")
    storage, offset, shape, strides = arguments[:4]
    subject = f"tensor of storage {storage.key!r}"
    if len(arguments) == 7 and arguments[6]:
        raise FileError(f"{subject} must be plain, not with metadata such as a conjugate's; save tensor.resolve_neg()")
    if not _is_count(offset) or not _are_counts(shape) or not _are_counts(strides) or len(shape) != len(strides):
        raise FileError(f"{subject} must have an offset, a shape and as many strides, all counts, not otherwise")
    if len(shape) > MAX_AXES:
        raise FileError(f"{subject} must have at most {MAX_AXES} axes, not {len(shape)}")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.elements:
        raise FileError(f"{subject} must lie within its {storage.elements} elements, not reach element {last}")
    return View(storage, offset, shape, strides)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 48


def _are_counts(values: Any) -> bool:
    return isinstance(values, tuple) and all(map(_is_count, values))
