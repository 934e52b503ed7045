"""A project's function: the arrays, weight files and calls in its C++ file, in their order."""

from dataclasses import dataclass, field
from typing import NamedTuple

from fixedsim.importers.hls4ml.declarations import Names, statements
from fixedsim.importers.hls4ml.description import Variable
from fixedsim.importers.hls4ml.source import Cursor, Source

_LOADER = "load_weights_from_txt"
_PROBE = "save_layer_output"  # of a trace; it changes nothing
MAX_ARGUMENTS = 16
ACTIVATIONS = ("relu", "sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "linear")
# The kind of layer of each function of hls4ml that is read; the second runs a dense layer at every step.
KINDS = {"dense": "dense", "pointwise_conv_1d_cl": "dense", "lstm_stack": "lstm"} | {kind: kind for kind in ACTIVATIONS}


class WeightFile(NamedTuple):
    """Where the numbers of one array of weights stand."""

    type: str
    numbers: int
    file: str


@dataclass(frozen=True)
class Call:
    """One layer: ``nnet::function<templates>(arguments); // label``."""

    function: str
    templates: tuple[str, ...]
    arguments: tuple[str, ...]
    label: str
    line: int


@dataclass
class Function:
    """The function: its name, its parameters and other arrays, weights by their array, and calls."""

    source: Source
    names: Names
    name: str = ""
    parameters: list[str] = field(default_factory=list)
    variables: dict[str, Variable] = field(default_factory=dict)
    weights: dict[str, WeightFile] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def add(self, variable: Variable, line: int) -> None:
        """Note an array; FileError if there is one of this name."""
        if variable.name in self.variables:
            raise self.source.error(line, f"{variable.name} must be declared once, not twice")
        self.variables[variable.name] = variable


def read_function(source: Source, names: Names) -> Function:
    """The only function of a file, ``void NAME(parameters) { statements }``.

    Raises:
        FileError: a statement that hls4ml does not write for a chain of layers in parallel.
    """
    function = Function(source, names)
    for cursor in statements(source):
        if cursor.token.kind == "directive":
            cursor.take()
            continue
        if function.name:
            cursor.refuse("the end of the file")
        cursor.expect("void")
        function.name = cursor.word()
        _read_parameters(cursor, function)
        _read_body(cursor, function)
    if not function.name:
        raise source.error(1, "file must have a function, not none")
    return function


def _read_parameters(cursor: Cursor, function: Function) -> None:
    cursor.expect("(")
    while True:
        line = cursor.token.line
        variable = _variable(cursor, function)
        function.add(variable, line)
        function.parameters.append(variable.name)
        if not cursor.accept(","):
            break
    cursor.expect(")")


def _variable(cursor: Cursor, function: Function) -> Variable:
    """``TYPE NAME[6*4]``: an array of as many axes as the size has factors."""
    if cursor.ahead("hls", "::"):
        cursor.refuse("an array; convert with io_type io_parallel")
    if cursor.ahead("auto", "&"):
        cursor.refuse("an array: a reshape is not supported")
    spelling = cursor.word()
    name = cursor.word()
    cursor.expect("[")
    tokens = cursor.until("]")
    function.names.number(function.source, tokens)
    shape = tuple(function.names.number(function.source, [token]) for token in tokens[::2])
    return Variable(name, function.names.type(spelling), shape)


def _read_body(cursor: Cursor, function: Function) -> None:
    cursor.expect("{")
    while True:
        cursor.skip_directives()
        line = cursor.token.line
        if cursor.accept("}"):
            return
        if cursor.accept("static", "bool"):
            cursor.word()
            cursor.expect("=", "false", ";")
        elif cursor.accept("if"):
            cursor.expect("(", "!")
            _read_loads(cursor, function)
        elif cursor.ahead("nnet", "::"):
            _read_call(cursor, function)
        else:
            function.add(_variable(cursor, function), line)
            cursor.expect(";")


def _read_loads(cursor: Cursor, function: Function) -> None:
    """``LOADED) { nnet::load_weights_from_txt<type, 80>(w2, "w2.txt"); ... LOADED = true; }``."""
    flag = cursor.word()
    cursor.expect(")", "{")
    while not cursor.accept(flag, "=", "true", ";"):
        cursor.expect("nnet", "::")
        line = cursor.token.line
        if not cursor.accept(_LOADER):
            cursor.refuse(f"{_LOADER!r}: compressed weights are not supported")
        cursor.expect("<")
        spelling = function.names.type(cursor.word())
        cursor.expect(",")
        count = function.names.number(function.source, cursor.until(">"))
        cursor.expect("(")
        name = cursor.word()
        cursor.expect(",")
        file = cursor.word("string")[1:-1]
        cursor.expect(")", ";")
        if name in function.weights:
            raise function.source.error(line, f"{name} must be loaded once, not twice")
        function.weights[name] = WeightFile(spelling, count, file)
    cursor.expect("}")


def _read_call(cursor: Cursor, function: Function) -> None:
    cursor.expect("nnet", "::")
    line = cursor.token.line
    name = cursor.word()
    if name not in KINDS and name != _PROBE:
        known = ", ".join(f"nnet::{one}" for one in KINDS)
        raise function.source.error(line, f"layer must be one of {known}, not nnet::{name}")
    cursor.expect("<")
    templates = _words(cursor, ">")
    cursor.expect("(")
    arguments = _words(cursor, ")")
    end = cursor.token.line
    cursor.expect(";")
    if name != _PROBE:
        label = function.source.comments.get(end, "")
        function.calls.append(Call(name, templates, arguments, label, line))


def _words(cursor: Cursor, end: str) -> tuple[str, ...]:
    """Single words between commas."""
    words: list[str] = []
    while len(words) < MAX_ARGUMENTS:
        if cursor.token.kind not in ("name", "number", "string"):
            cursor.refuse("a name")
        words.append(cursor.take().text)
        if not cursor.accept(","):
            cursor.expect(end)
            return tuple(words)
    cursor.refuse(f"the last of at most {MAX_ARGUMENTS} arguments")
