"""Compile the C reference of a model, run it over sequences, and compare every raw with the scalar specification."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim.model.layer_kinds import directions
from fixedsim.model.run import RunResult
from fixedsim_golden.c_reference import write_c
from fixedsim_golden.c_reference.source import Source, arithmetic_for

Integers = NDArray[np.int64]
COMPILER = shutil.which("cc") or shutil.which("gcc")
NAME = "device"
FLAGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
SANITIZER = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
OUTPUT, STATE = -1, -2  # records that are no signals; that of the state, empty where there is none, ends a sequence
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler (cc or gcc) is on the path")

# Records on standard output are words: what it is, how many values, the values.
_COMMON = """#include <stdio.h>
#include <stdlib.h>
#include "device.h"

static void put(void *context, int what, const int64_t *values, int count)
{
    int64_t head[2];

    head[0] = what;
    head[1] = count;
    fwrite(head, sizeof *head, 2, context);
    fwrite(values, sizeof *values, (size_t)count, context);
}
"""
_STEP_MAIN = """
int main(void)
{
    static device_state state;
    int64_t steps, input[@INPUTS@], output[@OUTPUTS@];

    device_trace(put, stdout);
    while (fread(&steps, sizeof steps, 1, stdin) == 1) {
        device_reset(&state);
        for (; steps > 0; steps--) {
            if (fread(input, sizeof *input, @INPUTS@, stdin) != @INPUTS@)
                return 1;
            device_step(&state, input, output);
            put(stdout, -1, output, @OUTPUTS@);
        }
        @STATE@
    }
    return 0;
}
"""
_RUN_MAIN = """
int main(void)
{
    int64_t steps;

    device_trace(put, stdout);
    while (fread(&steps, sizeof steps, 1, stdin) == 1) {
        size_t count = (size_t)steps;
        int64_t *inputs = malloc((count + 1) * @INPUTS@ * sizeof *inputs);
        int64_t *outputs = malloc((count + 1) * @OUTPUTS@ * sizeof *outputs);
        int64_t *scratch = malloc(device_scratch(count) * sizeof *scratch);

        if (fread(inputs, sizeof *inputs, count * @INPUTS@, stdin) != count * @INPUTS@)
            return 1;
        device_run(inputs, count, outputs, scratch);
        put(stdout, -1, outputs, (int)(@STEPS@ * @OUTPUTS@));
        put(stdout, -2, outputs, 0);
        free(inputs);
        free(outputs);
        free(scratch);
    }
    return 0;
}
"""

_FUNCTIONS_MAIN = """
int main(void)
{
    static int64_t (*const functions[@COUNT@])(int64_t) = {@TABLE@};
    int64_t count, value;
    int k;

    for (k = 0; k < @COUNT@; k++) {
        if (fread(&count, sizeof count, 1, stdin) != 1)
            return 1;
        for (; count > 0; count--) {
            if (fread(&value, sizeof value, 1, stdin) != 1)
                return 1;
            value = functions[k](value);
            fwrite(&value, sizeof value, 1, stdout);
        }
    }
    return 0;
}
"""


@dataclass(frozen=True)
class Compiled:
    """A program that reads sequences and writes every signal."""

    model: Model
    program: Path
    streams: bool

    def run(self, sequences: Sequence[Integers]) -> list[dict[int, Integers]]:
        """Of each sequence ``(steps, inputs)`` the records, one after the other, by what they are."""
        words = [np.concatenate([[len(each)], each.reshape(-1)]).astype(np.int64) for each in sequences]
        given = np.concatenate(words).tobytes()
        done = subprocess.run([self.program], input=given, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        return _parted(np.frombuffer(done.stdout, dtype=np.int64))


def _parted(words: Integers) -> list[dict[int, Integers]]:
    found: list[dict[int, list[Integers]]] = [{}]
    place = 0
    while place < len(words):
        what, size = int(words[place]), int(words[place + 1])
        found[-1].setdefault(what, []).append(words[place + 2 : place + 2 + size])
        place += 2 + size
        if what == STATE:
            found.append({})
    return [{what: np.stack(parts) for what, parts in each.items()} for each in found[:-1]]


def compile_model(model: Model, folder: Path) -> Compiled:
    """Write and compile the C reference of a model."""
    texts = write_c(model, NAME)
    streams = f"void {NAME}_step(" in texts[f"{NAME}.h"]
    return Compiled(model, _compiled(texts | {"main.c": _main(model, streams)}, folder), streams)


def _compiled(texts: dict[str, str], folder: Path) -> Path:
    """The program made of the texts, with the sanitizer where the compiler has one."""
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    sources = [str(folder / name) for name in texts if name.endswith(".c")]
    command = [str(COMPILER), *FLAGS, *(SANITIZER if _sanitizes(folder) else ()), *sources, "-o", folder / "program"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "program"


_SANITIZES: list[bool] = []


def _sanitizes(folder: Path) -> bool:
    """Whether the compiler links programs with the sanitizer; asked once."""
    if not _SANITIZES:
        (folder / "empty.c").write_text("int main(void) { return 0; }\n", encoding="utf-8")
        command = [str(COMPILER), *SANITIZER, str(folder / "empty.c"), "-o", str(folder / "empty")]
        _SANITIZES.append(subprocess.run(command, capture_output=True, check=False).returncode == 0)
    return _SANITIZES[0]


def evaluate(
    source: Source, expressions: Sequence[str], values: Sequence[Sequence[int]], folder: Path
) -> list[list[int]]:
    """What C gives for each expression in ``value``, at each of its values."""
    functions = [
        f"static int64_t f{number}(int64_t value)\n{{\n    return {expression};\n}}"
        for number, expression in enumerate(expressions)
    ]
    body = "\n\n".join([*source.parts, *functions])
    table = ", ".join(f"f{number}" for number in range(len(functions)))
    main = _FUNCTIONS_MAIN.replace("@COUNT@", str(len(functions))).replace("@TABLE@", table)
    head = "#include <stdint.h>\n#include <stdio.h>\n\n"
    program = _compiled({"main.c": f"{head}{arithmetic_for(body)}\n\n{body}\n{main}"}, folder)
    given = np.array([word for each in values for word in (len(each), *each)], dtype=np.int64).tobytes()
    done = subprocess.run([program], input=given, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    ends = np.cumsum([len(each) for each in values])[:-1]
    return [part.tolist() for part in np.split(np.frombuffer(done.stdout, dtype=np.int64), ends)]


def _main(model: Model, streams: bool) -> str:
    inputs = input_width(model)
    lowest = 0 if model.input_format is None else model.input_format.raw_min
    outputs = model.run(np.full((1,) if model.takes_tokens else (1, inputs), lowest)).raw
    assert outputs is not None
    words = "(int)(sizeof state / sizeof(int64_t))" if model.state_names else "0"
    state = f"put(stdout, {STATE}, (const int64_t *)(void *)&state, {words});"
    text = _COMMON + (_STEP_MAIN if streams else _RUN_MAIN)
    text = text.replace("@STATE@", state)
    text = text.replace("@STEPS@", "1" if model.last else "steps")
    return text.replace("@INPUTS@", str(inputs)).replace("@OUTPUTS@", str(outputs.shape[-1]))


def input_width(model: Model) -> int:
    """The count of words of one step of inputs."""
    if model.takes_tokens:
        return 1
    first = model.layers[0]
    if directions(first):
        part = directions(first)[0]
        assert isinstance(part, Lstm)
        return part.input_matrix.inputs
    return int(first.matrix.inputs)  # type: ignore[union-attr]


def assert_equal(model: Model, sequences: Sequence[Integers], folder: Path) -> None:
    """Compare the outputs, every signal and the final states of the C reference with the scalar specification."""
    compiled = compile_model(model, folder)
    for sequence, found in zip(sequences, compiled.run(sequences), strict=True):
        given = sequence[:, 0] if model.takes_tokens else sequence
        wanted = model.run(given, trace=["*"] if model.signals else [], engine="spec")
        _assert_outputs(model, wanted, found)
        for number, name in enumerate(model.signals):
            raws = wanted.trace[name][:, 0]
            traced = found[number][::-1] if _is_backward(model, name) else found[number]
            np.testing.assert_array_equal(traced[-len(raws) :], raws, err_msg=name)


def _assert_outputs(model: Model, wanted: RunResult, found: dict[int, Integers]) -> None:
    """Compare the outputs, and the states where the C reference gives them."""
    assert wanted.raw is not None
    outputs = found[OUTPUT].reshape(-1, wanted.raw.shape[-1])
    kept = outputs[-1:] if model.last else outputs
    np.testing.assert_array_equal(kept, wanted.raw.reshape(kept.shape))
    if found[STATE].size:
        state = np.concatenate([part[0] for name in model.state_names for part in wanted.state[name]])
        np.testing.assert_array_equal(_without_registers(model, found[STATE][0]), state)


def _is_backward(model: Model, name: str) -> bool:
    both = [layer for layer in model.layers if isinstance(layer, Bidirectional)]
    return any(name.startswith(f"{layer.backward.name}.") for layer in both)


def _without_registers(model: Model, words: Integers) -> Integers:
    """The words of a state without those of stale sigmoid registers."""
    kept, place = [], 0
    for layer in model.layers:
        for part in directions(layer):
            assert isinstance(part, Lstm)
            size = part.outputs + part.units
            kept.append(words[place : place + size])
            place += size + (part.datapath.hazard == "stale_sigmoid")
    assert place == len(words)
    return np.concatenate(kept)
