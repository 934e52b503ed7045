"""Encodings: tensors as words, and words as the files that simulators, synthesis and firmware read."""

from fixedsim_golden.encodings.encoding import Encoding as Encoding
from fixedsim_golden.encodings.encoding import ReadWords as ReadWords
from fixedsim_golden.encodings.layouts import Layout as Layout
from fixedsim_golden.encodings.layouts import append_bias as append_bias
from fixedsim_golden.encodings.layouts import from_words as from_words
from fixedsim_golden.encodings.layouts import split_bias as split_bias
from fixedsim_golden.encodings.layouts import to_words as to_words
from fixedsim_golden.encodings.npy import read_npy as read_npy
from fixedsim_golden.encodings.npy import write_npy as write_npy
from fixedsim_golden.encodings.registry import ENCODINGS as ENCODINGS
from fixedsim_golden.encodings.words import Words as Words
