"""Names of layers from those of a graph's operators and initializers."""

import re
from collections.abc import Iterable, Sequence

_MODULE = re.compile(r"(.+)\.(?:weight|bias|kernel|W|R|B|weight_T|weight_[ih]h.*|bias_[ih]h.*)\Z")
_ENDINGS = re.compile(
    r"(matmul|gemm|lstm|gather|tensordot|biasadd|add|linear|embedding_lookup|gatherv2)(_\d+)?\Z", re.I
)
_FRAMEWORK = re.compile(r"(node|onnx|val|model|functional|sequential|main_graph|partitionedcall)?(_\d+)*\Z", re.I)
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 80


def layer_name(kind: str, names: Sequence[str]) -> str:
    """A layer's name from an operator's and its constants': their module, else the operator's path, else the kind."""
    operator, *constants = names
    for name in constants:
        if "::" not in name and (match := _MODULE.match(name)):
            return _joined(re.split(r"[./]", match[1])) or kind
    path = operator.split("/")
    if len(path) > 1:
        return _joined(part for part in path if not _ENDINGS.match(part)) or kind
    plain = re.sub(r"__\d+\Z|_\d+\Z", "", operator)
    return kind if not plain or _ENDINGS.match(plain) or plain.startswith("node_") else _joined([plain]) or kind


def _joined(parts: Iterable[str]) -> str:
    cleaned = (_OTHER.sub("_", part).strip("_") for part in parts if not _FRAMEWORK.match(part))
    return ".".join(part for part in cleaned if part)[-_LONGEST:].strip("._-")


def unique_names(names: Sequence[str], stacked: Sequence[bool]) -> list[str]:
    """Each name once: equal ones of LSTMs (``stacked``) as levels ``.l0`` and on, others with a number behind."""
    taken: set[str] = set()
    unique: list[str] = []
    for index, name in enumerate(names):
        levels = [other for other, same in enumerate(names) if same == name]
        if len(levels) > 1 and all(stacked[level] for level in levels):
            name = f"{name}.l{levels.index(index)}"
        chosen, number = name, 2
        while chosen in taken:
            chosen, number = f"{name}{number}", number + 1
        taken.add(chosen)
        unique.append(chosen)
    return unique
