"""The formats of exact products in the cell: as wide as their operands need, by numbers worked out by hand."""

import fixedsim
from fixedsim.formats import Format
from fixedsim.layers.lstm import Lstm


def lstm(**options: object) -> Lstm:
    layer = fixedsim.quantize(fixedsim.load_network("char-lm"), **options).layers[1]  # type: ignore[arg-type]
    assert isinstance(layer, Lstm)
    return layer


def test_exact_products_have_the_finer_scale_and_hold_the_wider_extreme() -> None:
    """u0.16 times s4.11 has 27 fraction bits, u0.16 times s0.15 has 31: 65535 * -32768 * 2**4 needs 36 bits."""
    path = lstm().datapath
    form = Format.integer(36).with_scale(path.forget_product.format.scale)
    assert path.forget_product.format == path.input_product.format == form
    assert form.scale.denominator == 2**31
    assert (path.forget_product.shift, path.input_product.shift) == (-4, 0)
    assert form.raw_min < 65535 * -32768 * 2**4 < form.raw_min // 2  # so 35 bits would not do


def test_narrower_products_keep_the_range() -> None:
    """16 of those 36 bits leave 31 - 20 fraction bits."""
    path = lstm(bits={"lstm.*_product": 16}).datapath
    assert path.forget_product.format == path.input_product.format == Format.qmn(4, 11)
    assert (path.forget_product.shift, path.input_product.shift) == (16, 20)
