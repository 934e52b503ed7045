"""A check with recorded arrays finds the conventions that a planted file was written under."""

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.importers import import_network
from fixedsim.importers.checking import Checked, check_conventions
from tests.importers.planted import Array, Direction, Linear, both, hard_sigmoid, written

ORDERS = ["".join(letters) for letters in permutations("ifgo")]
BIASES = {"summed": (), "first": ("--convention", "first-bias"), "second": ("--convention", "second-bias")}
FORGET_BIASES = (0.0, 1.0, -1.0)
INPUTS, UNITS, STEPS = 3, 2, 5
X = np.random.default_rng(0).normal(size=(STEPS, INPUTS))
LSTM = Direction.drawn(INPUTS, UNITS, 1)


def checked(path: Path, inputs: Array, outputs: Array, **choices: Any) -> Checked:
    return check_conventions(import_network(path), inputs, outputs, **choices)


def options(found: Checked) -> list[tuple[str, ...] | None]:
    """What states the conventions that agree beside those under which the file was read."""
    return [alternative.options for alternative in found.agreeing]


def imported_under(path: Path, stated: tuple[str, ...]) -> Any:
    """The file imported with the options that a check gave."""
    words = " ".join(stated).replace("=", " ").split()
    pairs = list(zip(words[::2], words[1::2], strict=True))
    assert {name for name, _ in pairs} <= {"--gate-order", "--forget-bias", "--convention"}
    given = dict(pairs)
    return import_network(
        path,
        gate_order=given.get("--gate-order"),
        forget_bias=float(given["--forget-bias"]) if "--forget-bias" in given else None,
        conventions=[value for name, value in pairs if name == "--convention"],
    )


def find(folder: Path, order: str, bias: str, forget: float) -> None:
    """Plant a file under three conventions, and find them."""
    path = written(folder, LSTM.tensors("lstm", "l0", order))
    outputs = LSTM.run(X, bias=bias, forget=forget)
    found = checked(path, X, outputs)
    wanted = (
        *BIASES[bias],
        *(("--gate-order", order) if order != "ifgo" else ()),
        *((f"--forget-bias={forget:g}",) if forget else ()),
    )
    assert found.agrees == (not wanted)
    assert options(found) == ([wanted] if wanted else [])
    assert found.closest == ()
    assert check_conventions(imported_under(path, wanted), X, outputs).agrees


@pytest.mark.parametrize("order", ORDERS)
def test_gate_orders_biases_and_forget_biases(tmp_path: Path, order: str) -> None:
    """Every order; every bias and forget bias under several orders. The lane slow has all together."""
    every, start = list(product(BIASES, FORGET_BIASES)), ORDERS.index(order)
    for bias, forget in (every[start % 9], every[(start + 4) % 9]):
        find(tmp_path, order, bias, forget)


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_every_gate_order_with_every_bias_and_forget_bias(tmp_path: Path, order: str) -> None:
    for bias, forget in product(BIASES, FORGET_BIASES):
        find(tmp_path, order, bias, forget)


@pytest.mark.parametrize("order", ["ifgo", "igfo", "oifg"])
def test_gates_unit_by_unit(tmp_path: Path, order: str) -> None:
    path = written(tmp_path, LSTM.tensors("lstm", "l0", order, interleaved=True))
    found = checked(path, X, LSTM.run(X))
    stated = ("--convention", "interleaved", *(("--gate-order", order) if order != "ifgo" else ()))
    assert options(found) == [stated]
    assert check_conventions(imported_under(path, stated), X, LSTM.run(X)).agrees


def test_no_bias_at_all(tmp_path: Path) -> None:
    path = written(tmp_path, LSTM.tensors("lstm", "l0"))
    silent = Direction(LSTM.input, LSTM.recurrent, 0 * LSTM.first_bias, 0 * LSTM.second_bias)
    assert options(checked(path, X, silent.run(X))) == [("--convention", "no-bias")]


def test_two_levels_share_their_gate_order(tmp_path: Path) -> None:
    upper = Direction.drawn(UNITS, 3, 2)
    path = written(tmp_path, LSTM.tensors("lstm", "l0", "fiog"), upper.tensors("lstm", "l1", "fiog"))
    assert options(checked(path, X, upper.run(LSTM.run(X)))) == [("--gate-order", "fiog")]


@pytest.mark.parametrize("part", ["recurrent", "input"])
def test_blocks_transposed(tmp_path: Path, part: str) -> None:
    units = INPUTS
    meant = Direction.drawn(INPUTS, units, 3)
    stored = Direction(meant.input, meant.recurrent, meant.first_bias, meant.second_bias)
    blocks = getattr(meant, part).reshape(4, units, units)
    setattr(stored, part, np.concatenate([block.T for block in blocks]))
    path = written(tmp_path, stored.tensors("lstm", "l0", "gifo"))
    found = checked(path, X, meant.run(X))
    assert options(found) == [("--gate-order", "gifo", "--convention", f"{part}-transposed")]
    assert check_conventions(imported_under(path, options(found)[0] or ()), X, meant.run(X)).agrees


def test_whole_kernel_and_square_matrix_transposed(tmp_path: Path) -> None:
    inputs = 4 * UNITS
    x = np.random.default_rng(5).normal(size=(STEPS, inputs))
    meant, linear = Direction.drawn(inputs, UNITS, 4), Linear.drawn(UNITS, UNITS, 5)
    tensors = meant.tensors("lstm", "l0", "igfo")
    tensors["lstm.weight_ih_l0"] = tensors["lstm.weight_ih_l0"].T
    path = written(tmp_path, tensors, linear.tensors())
    found = checked(path, x, linear.run(meant.run(x)))
    assert options(found) == []  # which would be two changes where the order is stated
    stated = import_network(path, gate_order="igfo")
    assert options(check_conventions(stated, x, linear.run(meant.run(x)))) == [("--convention", "kernel-transposed")]
    turned = {**linear.tensors(), "fc.weight": linear.weight.T}
    path = written(tmp_path, meant.tensors("lstm", "l0"), turned)
    assert options(checked(path, x, linear.run(meant.run(x)))) == [("--convention", "matrices-transposed")]


def bidirectional(folder: Path, *, swapped: bool = False, linear: Linear | None = None) -> tuple[Path, Array, Array]:
    """A file of both directions, and what each gives."""
    forward, backward = Direction.drawn(INPUTS, UNITS, 6), Direction.drawn(INPUTS, UNITS, 7)
    names = ("l0_reverse", "l0") if swapped else ("l0", "l0_reverse")
    parts = [forward.tensors("lstm", names[0]), backward.tensors("lstm", names[1])]
    path = written(folder, *parts, linear.tensors() if linear else {})
    return path, *both(forward, backward, X)


def test_directions_swapped(tmp_path: Path) -> None:
    path, forward, backward = bidirectional(tmp_path, swapped=True)
    outputs = np.concatenate((forward, backward), axis=1)
    assert options(checked(path, X, outputs)) == [("--convention", "directions-swapped")]
    assert check_conventions(import_network(path, conventions=["directions-swapped"]), X, outputs).agrees


def test_backward_first_for_the_next_layer(tmp_path: Path) -> None:
    linear = Linear.drawn(2 * UNITS, 5, 8)
    path, forward, backward = bidirectional(tmp_path, linear=linear)
    outputs = linear.run(np.concatenate((backward, forward), axis=1))
    assert options(checked(path, X, outputs)) == [("--convention", "halves-swapped")]
    assert check_conventions(import_network(path, conventions=["halves-swapped"]), X, outputs).agrees


def test_both_swapped(tmp_path: Path) -> None:
    linear = Linear.drawn(2 * UNITS, 5, 8)
    path, forward, backward = bidirectional(tmp_path, swapped=True, linear=linear)
    outputs = linear.run(np.concatenate((backward, forward), axis=1))
    both_stated = ("--convention", "directions-swapped", "--convention", "halves-swapped")
    assert options(checked(path, X, outputs)) == [both_stated]


@pytest.mark.parametrize("more", [True, False])
def test_what_no_network_can_say(tmp_path: Path, more: bool) -> None:
    """Backward's output in processing order, or before forward's at the end: found, and no option."""
    linear = Linear.drawn(2 * UNITS, 5, 8) if more else None
    path, forward, backward = bidirectional(tmp_path, linear=linear)
    outputs = np.concatenate((forward, backward[::-1]), axis=1)
    found = checked(path, X, linear.run(outputs) if linear else outputs)
    assert [each.changes for each in found.agreeing] == [("backward's output stands in the order in which it ran",)]
    assert options(found) == [None]
    if linear is None:
        found = checked(path, X, np.concatenate((backward, forward), axis=1))
        assert [each.changes for each in found.agreeing] == [("backward's output comes before forward's",)]
        assert options(found) == [None]


def test_hard_sigmoid(tmp_path: Path) -> None:
    path = written(tmp_path, LSTM.tensors("lstm", "l0"))
    assert options(checked(path, X, LSTM.run(X, gate=hard_sigmoid))) == [("--convention", "gate-hard_sigmoid")]


def test_hard_sigmoid_in_one_of_two_levels(tmp_path: Path) -> None:
    upper = Direction.drawn(UNITS, 3, 2)
    path = written(tmp_path, LSTM.tensors("lstm", "l0"), upper.tensors("lstm", "l1"))
    found = checked(path, X, upper.run(LSTM.run(X), gate=hard_sigmoid))
    assert options(found) == [("--convention", "gate-hard_sigmoid:lstm.l1")]
    assert check_conventions(
        imported_under(path, options(found)[0] or ()), X, upper.run(LSTM.run(X), gate=hard_sigmoid)
    )


def test_own_networks_are_stated_otherwise(tmp_path: Path) -> None:
    """Their files say the gate order and the forget bias, so that the options for these are refused."""
    import_network(written(tmp_path, LSTM.tensors("lstm", "l0", "gifo"))).network.save(tmp_path / "own.safetensors")
    found = checked(tmp_path / "own.safetensors", X, LSTM.run(X, forget=-1.0))
    assert options(found) == [("--convention", "gate-order-gifo", "--convention", "forget-bias-1")]
    stated = imported_under(tmp_path / "own.safetensors", options(found)[0] or ())
    assert check_conventions(stated, X, LSTM.run(X, forget=-1.0)).agrees
