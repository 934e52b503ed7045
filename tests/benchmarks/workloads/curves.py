"""The points of the plots: cost against weight bits, activation bits, width, sequence length and batch."""

from collections.abc import Iterator

from tests.benchmarks import networks, ours
from tests.benchmarks.workload import Side, Workload, slug
from tests.benchmarks.workloads.language import at_once_parts
from tests.benchmarks.workloads.matrices import LARGE, our_side, part, peer_side

WEIGHT_BITS = (1, 2, 3, 4, 6, 8, 12, 16)
ACTIVATION_BITS = (1, 2, 4, 8, 9, 12, 16)
WIDTHS = (256, 512, 1024, 2048, 4096)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
LENGTHS = (1, 4, 16, 64, 256, 1024)
_ORT = "onnxruntime int8"
_MATRIX = 2048, 2048


def workloads() -> Iterator[Workload]:
    """Every point of every curve."""
    for bits in WEIGHT_BITS:
        yield _point("weight bits, one vector of 8192x6144", bits, LARGE, 1, weight=bits)
        yield _point("weight bits, batch 16 of 2048x2048", bits, _MATRIX, 16, weight=bits)
    for bits in ACTIVATION_BITS:
        yield _point("activation bits, batch 16 of 2048x2048", bits, _MATRIX, 16, activation=bits)
    for width in WIDTHS:
        for batch in (1, 16):
            yield _point(f"width, square matrix, batch {batch}", width, (width, width), batch)
    for batch in BATCHES:
        yield _point("batch, 2048x2048", batch, _MATRIX, batch)
    for steps in LENGTHS:
        yield _sequence(steps)


def _point(
    curve: str, abscissa: int, shape: tuple[int, int], batch: int, *, weight: int = 8, activation: int = 8
) -> Workload:
    rows, columns = shape
    peak = "dot8" if max(weight, activation) <= 8 else "dot16"
    peers = [peer_side(_ORT, shape, batch)] if peak == "dot8" and weight == activation == 8 else []
    return Workload(
        f"curve.{slug(curve)}.{abscissa}",
        f"{curve}: {abscissa}",
        (our_side(shape, batch, weight=weight, activation=activation), *peers),
        rows * columns * batch,
        (part(shape, batch, weight=weight, peak=peak),),
        curve=(curve, abscissa),
    )


def _sequence(steps: int) -> Workload:
    curve = "steps at once, PTB LM of 300 units"
    tokens = networks.tokens(steps)
    return Workload(
        f"curve.{slug(curve)}.{steps}",
        f"{curve}: {steps}",
        (Side("fixedsim", lambda: ours.whole(networks.language_model(300), tokens)),),
        0,
        at_once_parts(300, steps, 1),
        units=steps,
        unit="token",
        curve=(curve, steps),
    )
