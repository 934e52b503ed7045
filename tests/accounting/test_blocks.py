"""Blocks that hold a tensor: recorded figures, bounds, an exhaustive search, and what is refused."""

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.accounting.blocks import RULES, Arrangement, blocks, secded_bits
from fixedsim.accounting.targets import ConditionalShape, MemoryTarget, Shape, load_memory, memory_names
from fixedsim.errors import FileError, InputError

WEIGHTS = 720_000  # of one LSTM layer of 300 units with 300 inputs: 4 * 300 * (300 + 300)
BITS = (8, 4, 3, 2, 1)
RATIOS = ((32768, 1), (16384, 2), (8192, 4), (4096, 9), (2048, 18), (1024, 36), (512, 72))


def up(amount: float) -> int:
    """Round up, by means of floor division by one."""
    whole = int(amount)
    return whole + (whole < amount)


def count(name: str, bits: int, rule: str, lanes: int = 1) -> int:
    return blocks(load_memory(name), 1200, 600, bits, Arrangement(lanes=lanes, rule=rule)).blocks


FIGURES = [
    # 36 Kbit = 36864 bits a block
    ("ramb36", "bits", 1, (157, 79, 59, 40, 20), lambda bits: up(WEIGHTS * bits / 36864)),
    # 72 // bits weights in a line, 4096 lines in a block
    ("uram", "least", 1, (20, 10, 8, 5, 3), lambda bits: len(range(0, WEIGHTS, 72 // bits * 4096))),
    # 22500 words in 4096 lines are 6 blocks deep; 32 * bits over 72 bits are 4, 2, 2, 1, 1 blocks wide
    ("uram", "single", 32, (24, 12, 12, 6, 6), lambda bits: 6 * {8: 4, 4: 2, 3: 2, 2: 1, 1: 1}[bits]),
    # 22500 words in 1024 lines are 22 blocks deep; 32 * bits over 18 bits are 15, 8, 6, 4, 2 blocks wide
    ("ramb18", "estimate", 32, (330, 176, 132, 88, 44), lambda bits: 22 * {8: 15, 4: 8, 3: 6, 2: 4, 1: 2}[bits]),
    (
        "ramb18",
        "single",
        32,
        (319, 165, 121, 88, 44),
        lambda bits: min(up(22500 / lines) * up(32 * bits / wide) for lines, wide in [(2048, 9), (1024, 18)]),
    ),
]


@pytest.mark.parametrize(("name", "rule", "lanes", "figures", "by_hand"), FIGURES)
def test_a_layer_of_300_units_takes_the_recorded_blocks(
    name: str, rule: str, lanes: int, figures: tuple[int, ...], by_hand: Callable[[int], int]
) -> None:
    assert tuple(count(name, bits, rule, lanes) for bits in BITS) == figures
    assert tuple(by_hand(bits) for bits in BITS) == figures


def test_memory_by_the_bit_takes_the_bits() -> None:
    placement = blocks(load_memory("ideal"), 1200, 600, 3)
    assert placement.blocks == placement.stored_bits == WEIGHTS * 3
    assert placement.efficiency == 1


def test_a_band_of_its_own_for_the_last_lines_saves_a_block() -> None:
    # 8192 lines of 12 bits in three blocks of 8192 x 4, and 1000 lines in one of 1024 x 36.
    assert blocks(load_memory("ramb36"), 9192, 1, 12).blocks == 4
    one_band = min(
        sum(up(9192 / lines) * n for (lines, _), n in zip(RATIOS, counts, strict=True))
        for counts in product(*(range(min(12 // wide + 2, 4)) for _, wide in RATIOS))
        if sum(wide * n for (_, wide), n in zip(RATIOS, counts, strict=True)) >= 12
    )
    assert one_band == 5


def covers(shapes: tuple[tuple[int, int], ...], bits: int) -> Iterator[tuple[int, ...]]:
    """Every number of columns of each aspect ratio that together are at least ``bits`` wide."""
    for counts in product(*(range(-(-bits // wide) + 1) for _, wide in shapes)):
        if sum(wide * n for (_, wide), n in zip(shapes, counts, strict=True)) >= bits:
            yield counts


def bands(depths: list[int], words: int) -> Iterator[tuple[int, ...]]:
    """Every way to cut ``words`` into bands of block depths, the last one of any height, in every order."""
    yield (words,)
    for depth in depths:
        if depth < words:
            for others in bands(depths, words - depth):
                yield (depth, *others)


def merged(heights: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every way to make one band of neighbours, the last height always by itself or with those above it."""
    for cuts in product((False, True), repeat=len(heights) - 1):
        tops = [heights[0]]
        for cut, height in zip(cuts, heights[1:], strict=True):
            tops = [*tops, height] if cut else [*tops[:-1], tops[-1] + height]
        yield tuple(tops)


def exhaustive(shapes: tuple[tuple[int, int], ...], words: int, bits: int) -> int:
    choices = list(covers(shapes, bits))
    heights = {whole for cut in bands([depth for depth, _ in shapes], words) for whole in merged(cut)}

    def band(height: int) -> int:
        return min(sum(up(height / d) * n for (d, _), n in zip(shapes, c, strict=True)) for c in choices)

    cost = {height: band(height) for cut in heights for height in cut}
    return min(sum(cost[height] for height in cut) for cut in heights)


@pytest.mark.parametrize("shapes", [((8, 1), (4, 2), (2, 5)), ((4, 2), (2, 3)), ((8, 1), (4, 3), (2, 4))])
def test_least_is_what_an_exhaustive_search_finds(shapes: tuple[tuple[int, int], ...]) -> None:
    target = MemoryTarget("small", "", "BLOCK", tuple(Shape(*sides) for sides in shapes))
    for words, bits in product(range(1, 14), range(1, 12)):
        found = blocks(target, words, 1, bits).blocks
        assert found == exhaustive(shapes, words, bits), (words, bits)


def test_wide_words_take_what_columns_counted_one_by_one_take() -> None:
    # 8 lines: one block for 3 bits, two for 5, four for 7; the first is the best, so that few of the others serve.
    target = MemoryTarget("small", "", "BLOCK", (Shape(8, 3), Shape(4, 5), Shape(2, 7)))
    for bits in range(1, 200):
        whole = min(
            a + 2 * b + 4 * up(max(0, bits - 3 * a - 5 * b) / 7) for a in range(bits // 3 + 2) for b in range(8)
        )
        assert blocks(target, 8, 1, bits).blocks == whole


def test_wide_words_are_not_filled_greedily() -> None:
    # 12 lines: four blocks for 7 bits, three for 5. 10 bits take 3 + 3 and not 4 + 3, though 7 bits come cheaper.
    target = MemoryTarget("small", "", "BLOCK", (Shape(3, 7), Shape(4, 5)))
    for bits in range(1, 200):
        whole = min(4 * a + 3 * up(max(0, bits - 7 * a) / 5) for a in range(bits // 7 + 2))
        assert blocks(target, 12, 1, bits).blocks == whole


sizes = st.integers(1, 3000)


@given(
    st.sampled_from(memory_names()),
    sizes,
    sizes,
    st.integers(1, 33),
    st.integers(1, 40),
    st.booleans(),
    st.booleans(),
)
def test_least_lies_between_the_bits_and_a_single_ratio(
    name: str, rows: int, columns: int, bits: int, lanes: int, pad_rows: bool, ecc: bool
) -> None:
    bound, least, single = (
        blocks(load_memory(name), rows, columns, bits, Arrangement(lanes, pad_rows, 1, ecc, rule))
        for rule in ("bits", "least", "single")
    )
    assert bound.blocks <= least.blocks <= single.blocks
    assert (least.words, least.word_bits) == (single.words, single.word_bits)
    assert 0 < least.efficiency <= 1


@given(st.integers(1, 40), st.integers(1, 300), st.integers(1, 40), st.integers(1, 60))
def test_a_macro_is_filled_line_by_line(lines: int, wide: int, bits: int, words: int) -> None:
    if bits < wide:
        filled, free = 0, 0
        for _ in range(words):
            if free < bits:
                filled, free = filled + 1, wide
            free -= bits
        wanted = len(range(0, filled, lines))
    else:
        wanted = len(range(0, words, lines)) * len(range(0, bits, wide))
    assert blocks(load_memory(f"sram:{lines}x{wide}"), words, 1, bits).blocks == wanted


def test_widest_words_are_placed_on_every_target() -> None:
    for name in memory_names():
        assert blocks(load_memory(name), 1234567, 512, 8, Arrangement(lanes=512)).word_bits == 4096


@pytest.mark.parametrize(("data", "check"), [(1, 3), (4, 4), (8, 5), (11, 5), (12, 6), (32, 7), (57, 7), (64, 8)])
def test_check_bits_are_those_of_extended_hamming_codes(data: int, check: int) -> None:
    assert secded_bits(data) == check


@pytest.mark.parametrize(
    ("arrangement", "words", "word_bits"),
    [
        (Arrangement(), 50, 5),
        (Arrangement(lanes=4), 13, 20),  # ceil(50 / 4)
        (Arrangement(lanes=4, pad_rows=True), 15, 20),  # 5 * ceil(10 / 4)
        (Arrangement(lanes=4, align=4), 13, 32),  # 5 bits take 8
        (Arrangement(lanes=4, align=4, ecc=True), 13, 39),  # 32 + 7
        (Arrangement(lanes=16, ecc=True), 4, 94),  # 64 + 16 data bits: 8 + 6 check bits
        (Arrangement(lanes=16, align=8, ecc=True), 4, 144),  # twice 64 + 8
    ],
)
def test_words_hold_lanes_padding_and_check_bits(arrangement: Arrangement, words: int, word_bits: int) -> None:
    placement = blocks(load_memory("ideal"), 5, 10, 5, arrangement)
    assert (placement.words, placement.word_bits, placement.stored_bits) == (words, word_bits, 250)
    assert placement.blocks == words * word_bits
    assert placement.efficiency == 250 / (words * word_bits)


@pytest.mark.parametrize(
    ("words", "bits", "shape"),
    [
        (100, 1, (16384, 1)),
        (100, 2, (8192, 2)),
        (100, 4, (4096, 4)),
        (100, 5, (2048, 9)),
        (100, 18, (1024, 18)),
        (512, 36, (512, 36)),
        (513, 36, (1024, 18)),
    ],
)
def test_the_estimate_takes_the_first_shape_whose_conditions_hold(
    words: int, bits: int, shape: tuple[int, int]
) -> None:
    lines, wide = shape
    entry = next(entry for entry in load_memory("ramb18").estimate if entry.holds(words, bits))
    assert (entry.shape.depth, entry.shape.width) == (lines, wide)
    found = blocks(load_memory("ramb18"), words, 1, bits, Arrangement(rule="estimate"))
    assert found.blocks == up(words / lines) * up(bits / wide)


@pytest.mark.parametrize("name", memory_names())
def test_shipped_targets_have_the_name_of_their_file(name: str) -> None:
    target = load_memory(name)
    assert target.name == name
    assert target.summary


def test_block_sizes_are_those_of_the_data_sheets() -> None:
    wanted = {"ideal": 1, "ramb18": 18432, "ramb36": 36864, "uram": 294912, "m20k": 20480, "m10k": 10240}
    assert {name: load_memory(name).block_bits for name in memory_names()} == wanted


BIG, FLAT = Shape(8, 1), Shape(4, 2)
REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: Arrangement(lanes=0), "lanes must be a whole number of at least 1, not 0"),
    (lambda: Arrangement(align=-1), "align must be a whole number of at least 1, not -1"),
    (lambda: Arrangement(lanes=True), "lanes must be a whole number of at least 1, not True"),
    (lambda: Arrangement(ecc=1), "ecc must be true or false, not 1"),  # type: ignore[arg-type]
    (
        lambda: Arrangement(rule="singel"),
        "rule must be one of least, single, bits, estimate, not 'singel'; did you mean 'single'?",
    ),
    (lambda: secded_bits(0), "data must be a whole number of at least 1, not 0"),
    (lambda: blocks(load_memory("uram"), 0, 1, 1), "rows must be a whole number of at least 1, not 0"),
    (lambda: blocks(load_memory("uram"), 1, 0, 1), "columns must be a whole number of at least 1, not 0"),
    (lambda: blocks(load_memory("uram"), 1, 1, 0), "bits must be a whole number of at least 1, not 0"),
    (
        lambda: blocks(load_memory("uram"), 1, 1, 1, Arrangement(rule="estimate")),
        "rule must be one of least, single, bits for memory uram, which has no estimate, not 'estimate'",
    ),
    (lambda: Shape(0, 1), "depth of a shape must be a whole number of at least 1, not 0"),
    (lambda: MemoryTarget("m", "", "B", ()), "number of shapes must be in 1..16, not 0"),
    (lambda: MemoryTarget("m", "", "B", (BIG, BIG)), "shapes must be distinct, not 8x1, 8x1"),
    (
        lambda: MemoryTarget("m", "", "B", (BIG,), available=0),
        "available must be a whole number of at least 1, not 0",
    ),
    (
        lambda: MemoryTarget("m", "", "B", (BIG,), estimate=(ConditionalShape(FLAT),)),
        "shape of estimate must be one of 8x1, not 4x2",
    ),
    (
        lambda: MemoryTarget("m", "", "B", (BIG,), estimate=(ConditionalShape(BIG, 3),)),
        "last entry of estimate must be without a condition, not with one",
    ),
    (
        lambda: load_memory("ramb63"),
        "memory 'ramb63' is unknown; did you mean 'ramb36'?; or give sram:WORDSxBITS or a path to a TOML file",
    ),
    (lambda: load_memory("sram:0x4"), "memory must be sram:WORDSxBITS with whole numbers from 1, not 'sram:0x4'"),
    (lambda: load_memory("sram:1024"), "memory must be sram:WORDSxBITS with whole numbers from 1, not 'sram:1024'"),
]


@pytest.mark.parametrize(("refused", "message"), REFUSED)
def test_what_is_not_possible_is_refused(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as error:
        refused()
    assert str(error.value) == message


PLAIN = 'name = "mine"\nblock = "B"\nshapes = [[8, 1], [4, 2]]\n'


def test_a_target_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PLAIN + "available = 12\npacked = true\n[[estimate]]\nshape = [4, 2]\n", encoding="utf-8")
    wanted = MemoryTarget("mine", "", "B", (BIG, FLAT), True, 12, (ConditionalShape(FLAT),))
    assert load_memory(path) == load_memory(str(path)) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN + "avialable = 3\n", ": key 'avialable' is unknown; did you mean 'available'?"),
        (PLAIN + "[[estimate]]\nshap = [4, 2]\n", ": key 'estimate.0.shape' is missing\n"),
        (PLAIN + "[[estimate]]\nshape = [4, 2]\nwords = 1\n", ": key 'estimate.0.words' is unknown; did you mean"),
        (PLAIN + "[[estimate]]\nshape = [4, 1]\n", ": shape of estimate must be one of 8x1, 4x2, not 4x1"),
        ('name = "m"\nblock = "B"\n', ": key 'shapes' is missing"),
        ('name = "m"\nblock = "B"\nshapes = []\n', ": number of shapes must be in 1..16, not 0"),
        ('name = "m"\nblock = "B"\nshapes = [[8]]\n', ": shapes.0 must be [depth, width], not [8]"),
        ('name = "m"\nblock = "B"\nshapes = [[8, 0]]\n', ": shapes.0.1 must be greater than 0, not 0"),
        ('name = "m"\nblock = "B"\nshapes = [[8, 1.5]]\n', ": shapes.0.1 must be a valid integer, not 1.5"),
        (PLAIN + "packed = 1\n", ": packed must be a valid boolean, not 1"),
        (PLAIN + "packed = \n", " must be TOML: "),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError) as error:
        load_memory(path)
    assert str(error.value).startswith(f"{path}{message}")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"absent\.toml must be a readable TOML file: "):
        load_memory(tmp_path / "absent.toml")


def test_every_rule_is_tried_here() -> None:
    assert set(RULES) == {"least", "single", "bits", "estimate"}
