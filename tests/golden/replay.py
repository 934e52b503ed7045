"""A device that replays a golden set: it takes exactly the set's stimuli, and gives what a script says."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from fixedsim_golden.playing import lstms, streams
from fixedsim_golden.sets import GoldenSet

_INPUT, _LOAD, _TRACE, _OUTPUT = range(4)
_DATA = 64  # bits
Line = tuple[int, int, int, int]  # kind, two places, data


def script(golden: GoldenSet, *, traces: bool = True) -> list[Line]:
    """What a device takes and gives in a run of the set, in order."""
    return [line for number in range(len(golden.cases)) for line in _sequence(golden, number, traces)]


def _sequence(golden: GoldenSet, number: int, traces: bool) -> Iterator[Line]:
    case = golden.cases[number]
    first = golden.manifest.cases[number].first
    if case.start == "injected":
        yield from _loads(golden, number)
    steps = list(range(case.steps))
    groups = [[step] for step in steps] if streams(golden.model) else [steps]
    for group in groups:
        for step in group:
            yield from _beats(golden, first + step)
        for step in group if traces else ():
            yield from _traces(golden, first, case.steps, step)
        if traces and group[-1] == steps[-1]:
            yield from _late(golden, number)
        once = golden.manifest.entry("output").axes[0] == "sequence"
        for row in [number] if once else [first + step for step in group]:
            yield from ((_OUTPUT, 0, 0, word) for word in _row(golden, "output", row))


def _row(golden: GoldenSet, name: str, row: int) -> list[int]:
    """The words of a step or of a sequence."""
    entry = golden.manifest.entry(name)
    words = [int(line, 16) for line in (golden.folder / "hex" / f"{name}.hex").read_text().split()]
    size = entry.words // entry.shape[0]
    return words[row * size : (row + 1) * size]


def _beats(golden: GoldenSet, step: int) -> Iterator[Line]:
    (control,) = _row(golden, "control", step)
    for place, word in enumerate(_row(golden, "input", step)):
        yield _INPUT, control & 2 | (control & 1 if place == 0 else 0), 0, word


def _loads(golden: GoldenSet, number: int) -> Iterator[Line]:
    for place, name in enumerate(lstms(golden.model)):
        for select, what in enumerate(("hidden", "cell")):
            for unit, word in enumerate(_row(golden, f"{name}.initial_state.{what}", number)):
                yield _LOAD, 2 * place + select, unit, word


def _signals(golden: GoldenSet, axis: str) -> Iterator[tuple[int, str]]:
    kept = {entry.name for entry in golden.manifest.entries if entry.role == "signal" and entry.axes[0] == axis}
    return ((place, name) for place, name in enumerate(golden.model.signals) if name in kept)


def _traces(golden: GoldenSet, first: int, steps: int, step: int) -> Iterator[Line]:
    for place, name in _signals(golden, "step"):
        row = first + (steps - 1 - step if ".backward." in name else step)
        for unit, raw in enumerate(golden.raws(name)[row]):
            yield _TRACE, place, unit, int(raw)


def _late(golden: GoldenSet, number: int) -> Iterator[Line]:
    for place, name in _signals(golden, "sequence"):
        for unit, raw in enumerate(golden.raws(name)[number]):
            yield _TRACE, place, unit, int(raw)


def write_script(folder: Path, lines: list[Line], edit: Callable[[list[str]], list[str]] = list) -> None:
    """Write a script as words of 100 bits, edited as text."""
    texts = [f"{kind:x}{a:04x}{b:04x}{data % (1 << _DATA):016x}" for kind, a, b, data in lines]
    (folder / "script.hex").write_text("".join(f"{text}\n" for text in edit(texts)))


def replay_verilog(folder: Path, words: int) -> None:
    """Put the replay into the adapter that stands in a folder as a template."""
    path = folder / "device_adapter.v"
    text, count = re.subn(
        r"    // Put .*(?=endmodule)", lambda _: _VERILOG.replace("WORDS", str(words)), path.read_text(), flags=re.S
    )
    assert count == 1
    path.write_text(text)


def replay_vhdl(folder: Path) -> None:
    """The same in VHDL."""
    path = folder / "device_adapter.vhd"
    text, count = re.subn(r"architecture empty.*", lambda _: _VHDL, path.read_text(), flags=re.S)
    assert count == 1
    path.write_text(text.replace("use ieee.std_logic_1164.all;", _LIBRARIES))


_VERILOG = """\
    reg [99:0] script [0:WORDS+1];
    integer place = 0;
    reg stuck = 0;
    initial begin
        for (place = 0; place < WORDS + 2; place = place + 1) script[place] = {4'd15, 96'd0};
        place = 0;
        $readmemh("script.hex", script);
    end
    wire [99:0] line = script[place];
    wire [3:0] kind = stuck ? 4'd15 : line[99:96];
    wire [15:0] first = line[95:80], second = line[79:64];
    wire [63:0] data = line[63:0], given = in_data, loaded = load_data;
    assign in_ready = kind == 0 || kind == 1;
    assign trace_valid = kind == 2;
    assign out_valid = kind == 3;
    assign out_data = data;
    assign trace_signal = first;
    assign trace_unit = second;
    assign trace_data = data;
    wire done = kind == 0 ? in_valid : kind == 1 ? load_valid : kind == 2 || (kind == 3 && out_ready);
    wire right = kind == 0 ? given === data && first === {14'd0, in_last, in_clear} && !load_valid
        : kind == 1 ? loaded === data && first === {7'd0, load_lstm, load_select} && second === load_address
            && !in_valid : 1'b1;
    always @(posedge clk) if (reset) begin
        place <= 0;
        stuck <= 0;
    end
    else if (done) begin
        place <= place + 1;
        if (!right) stuck <= 1;
    end
"""
_LIBRARIES = """\
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;
use std.textio.all;"""
_VHDL = """\
architecture replay of device_adapter is
    subtype word is std_logic_vector(99 downto 0);
    type word_array is array (natural range <>) of word;

    impure function length_of_script return natural is
        file source : text open read_mode is "script.hex";
        variable given : line;
        variable count : natural := 0;
    begin
        while not endfile(source) loop
            readline(source, given);
            count := count + 1;
        end loop;
        return count;
    end function;

    impure function read_script return word_array is
        file source : text open read_mode is "script.hex";
        variable given : line;
        variable found : word_array(0 to length_of_script) := (others => x"f000000000000000000000000");
        variable sign : character;
    begin
        for place in 0 to found'high - 1 loop
            readline(source, given);
            for index in 24 downto 0 loop
                read(given, sign);
                case sign is
                    when 'x' => found(place)(4 * index + 3 downto 4 * index) := "XXXX";
                    when '0' to '9' => found(place)(4 * index + 3 downto 4 * index) :=
                        std_logic_vector(to_unsigned(character'pos(sign) - 48, 4));
                    when others => found(place)(4 * index + 3 downto 4 * index) :=
                        std_logic_vector(to_unsigned(character'pos(sign) - 87, 4));
                end case;
            end loop;
        end loop;
        return found;
    end function;

    constant SCRIPT : word_array := read_script;
    signal place : natural := 0;
    signal stuck : boolean := false;
    signal current : word;
    signal kind : natural range 0 to 15;
begin
    current <= SCRIPT(place);
    kind <= 15 when stuck else to_integer(unsigned(current(99 downto 96)));
    in_ready <= '1' when kind = 0 or kind = 1 else '0';
    trace_valid <= '1' when kind = 2 else '0';
    out_valid <= '1' when kind = 3 else '0';
    out_data <= current(out_data'range);
    trace_signal <= current(95 downto 80);
    trace_unit <= current(79 downto 64);
    trace_data <= current(63 downto 0);
    process (clk)
        variable right, done : boolean;
    begin
        if rising_edge(clk) then
            right := true;
            done := kind = 2 or (kind = 3 and out_ready = '1');
            if kind = 0 then
                done := in_valid = '1';
                right := in_data = current(in_data'range) and current(80) = in_clear and current(81) = in_last
                    and load_valid = '0';
            elsif kind = 1 then
                done := load_valid = '1';
                right := load_data = current(load_data'range) and current(88 downto 81) = load_lstm
                    and current(80) = load_select and current(79 downto 64) = load_address and in_valid = '0';
            end if;
            if reset = '1' then
                place <= 0;
                stuck <= false;
            elsif done then
                place <= place + 1;
                stuck <= not right;
            end if;
        end if;
    end process;
end architecture;
"""
