"""Files that a mapping names: paths that stay in its folder, strict CSV, honest .npy headers."""

from pathlib import Path

import numpy as np
import pytest

from fixedsim.errors import FileError
from fixedsim.importers import mapping
from fixedsim.importers.imported import Stated
from tests.importers.test_mapping import F, imported, written

PATHS = {
    "up": ("../net/f.npy", "must be a path below the mapping file's folder"),
    "inner up": ("sub/../f.npy", "must be a path below"),
    "absolute": ("/etc/f.npy", "must be a path below"),
    "drive": ("C:/f.npy", "must be a path below"),
    "backslash": (r"..\\f.npy", "must be a path below"),
    "nothing": ("", "must be a path below"),
    "link out": ("out.npy", "must stay in the mapping file's folder, not lead out of it by a link"),
    "linked folder": ("away/f.npy", "must stay in the mapping file's folder"),
    "ring": ("ring.npy", "must be a path that can be followed|must be a file, not missing"),
    "missing": ("gone.npy", "must be a file, not missing or a folder"),
    "folder": ("folder.npy", "must be a file, not missing or a folder"),
    "ending": ("f.pickle", "must end in .npy, .csv, .npz, .safetensors, not 'f.pickle'"),
}


@pytest.mark.parametrize("name", PATHS)
def test_paths(name: str, tmp_path: Path) -> None:
    folder, outside = tmp_path / "net", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    np.save(outside / "f.npy", F)
    (folder / "out.npy").symlink_to(outside / "f.npy")
    (folder / "away").symlink_to(outside)
    (folder / "ring.npy").symlink_to(folder / "ring.npy")
    (folder / "folder.npy").mkdir()
    path, message = PATHS[name]
    with pytest.raises(FileError, match=message):
        imported(folder, {"fc.weight": f'{{ file = "{path}" }}'})


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.npy").symlink_to("f.npy")
    network = imported(tmp_path, {"fc.weight": '{ file = "link.npy" }'})
    np.testing.assert_array_equal(network.weights["fc.weight"], F)


CSV = {
    "1,2\n3\n": "line 2 must have 2 numbers, not 1",
    "1,,2": "must be finite numbers with commas between them, not ''",
    "1,2,": "must be finite numbers with commas between them, not ''",
    "1 2": "not '1 2'",
    "nan": "not 'nan'",
    "1e999": "not '1e999'",
    "0x10": "not '0x10'",
    "1_0": "not '1_0'",
    '"1"': "not '\"1\"'",
    "1;2": "not '1;2'",
    "# nothing": "must hold numbers, not none",
    "1,\u0661": "must be ASCII text, not other bytes",
    "1" * 500: "must be finite numbers",
}  # fmt: skip


@pytest.mark.parametrize("text", CSV)
def test_strict_csv(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text, "utf-8")
    with pytest.raises(FileError, match=CSV[text]):
        imported(tmp_path, {"fc.bias": '{ file = "x.csv" }'})


def test_csv_of_a_matrix(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("# (4, 2)\r\n1,2 # first\r\n\r\n+3.,-4\r\n5e-1, 6E+1\r\n.7,8\r\n", "ascii")
    network = imported(tmp_path, {"fc.weight": '{ file = "x.csv" }'})
    np.testing.assert_array_equal(network.weights["fc.weight"], [[1, 2], [3, -4], [0.5, 60], [0.7, 8]])


def test_npy_headers(tmp_path: Path) -> None:
    path = written(tmp_path)
    good = (tmp_path / "f.npy").read_bytes()
    for bad, message in (
        (good.replace(b"(4, 2)", b"(9, 9)"), r"f.npy must hold 648 bytes for \(9, 9\), not 64"),
        (good.replace(b"'<f8'", b"'|O8'"), "f.npy must hold numbers of at most 8 bytes, not object"),
        (good[:-1], r"f.npy must hold 64 bytes for \(4, 2\), not 63"),
        (b"\x80\x04" + good, "f.npy must be a .npy file"),
    ):
        (tmp_path / "f.npy").write_bytes(bad)
        with pytest.raises(FileError, match=message):
            mapping.read(path, Stated())
