"""Sizes of axes: whole numbers, or products of sizes that are known only when the graph runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from fixedsim.errors import NetworkError

MAX_SIZE = 1 << 40
_MAX_SYMBOLS = 8


@dataclass(frozen=True, slots=True)
class Product:
    """``factor`` times sizes that are named, not known; there is at least one of them."""

    factor: int
    symbols: tuple[str, ...]

    def __str__(self) -> str:
        names = " * ".join(self.symbols)
        return names if self.factor == 1 else f"{self.factor} * {names}"


Size: TypeAlias = int | Product


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes.

    Raises:
        NetworkError: it is beyond ``MAX_SIZE``, or of too many unknown sizes.
    """
    factor = 1
    symbols: list[str] = []
    for size in sizes:
        factor *= size.factor if isinstance(size, Product) else size
        symbols += size.symbols if isinstance(size, Product) else ()
        if abs(factor) > MAX_SIZE or len(symbols) > _MAX_SYMBOLS:
            raise NetworkError(f"sizes of axes must multiply to at most {MAX_SIZE}, not to more")
    return Product(factor, tuple(sorted(symbols))) if symbols and factor else factor


def shown(sizes: Iterable[Size]) -> str:
    """Sizes as a tuple is written."""
    return f"({', '.join(str(size) for size in sizes)})"
