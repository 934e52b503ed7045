"""The generator of stimuli: published words, and raws of every format."""

import numpy as np

from fixedsim.formats import Format
from fixedsim.stimuli import uniform_raws, words


def test_published_words() -> None:
    """The first outputs of SplitMix64 for the seed 1234567, as its reference program prints them."""
    wanted = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert words(1234567, 5).tolist() == wanted


def test_raws_are_of_their_format() -> None:
    for form in (Format.integer(8), Format.integer(3, signed=False), Format.odd(2), Format.integer(8, narrow=True)):
        raws = uniform_raws(form, (64, 8, 4), 5)
        assert raws.shape == (64, 8, 4)
        assert {form.contains(int(raw)) for raw in np.unique(raws)} == {True}
        assert (raws.min(), raws.max()) == (form.raw_min, form.raw_max)


def test_seeds_differ() -> None:
    form = Format.integer(16)
    assert (uniform_raws(form, (100,), 1) != uniform_raws(form, (100,), 2)).sum() > 90
