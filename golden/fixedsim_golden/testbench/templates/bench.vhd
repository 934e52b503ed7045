-- Self-checking bench of a golden set: it plays the set's sequences through device_adapter and compares every word.
--
-- <<about>>
-- It prints one line, "PASS <words> words compared" or "FAIL <reason>", and ends with exit status 0 or 1.
-- Analyse device_adapter and what that needs first, as VHDL-2008. Generics, which the simulator sets at its start:
--   GOLDEN           the folder of the golden set; relative paths start at the working directory
--   DUMP             a folder that exists, for what the device gave; then the bench goes on after a mismatch
--   STALL, PRESSURE  percent of clocks without an input, and without a reader of outputs
--   RESTARTS         resets in mid-stream, each followed by the set from its start
--   PATIENCE         clocks without progress after which the bench gives up
--   SEED             of the clocks that are chosen for stalls
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;
use ieee.math_real.all;
use std.textio.all;

entity bench is
    generic (
        GOLDEN : string := "<<golden>>";
        DUMP : string := "";
        STALL : natural := <<stall>>;
        PRESSURE : natural := <<pressure>>;
        RESTARTS : natural := <<restarts>>;
        PATIENCE : natural := <<patience>>;
        SEED : positive := 1
    );
end entity;

architecture behaviour of bench is
    constant ENTRIES : positive := <<entries>>;
    constant WORDS : positive := <<words>>;
    constant WIDTH : positive := <<width>>;
    constant STEPS : positive := <<steps>>;
    constant CASES : positive := <<cases>>;
    constant SIGNALS : natural := <<signals>>;
    constant STATES : natural := <<states>>;
    constant INPUTS : positive := <<inputs>>;
    constant OUTPUTS : positive := <<outputs>>;
    constant TRACES : natural := <<traces>>;
    constant COMPARED : positive := <<compared>>;
    constant DIGIT_BITS : positive := <<digit_bits>>;
    constant SETTLE : positive := 64;
    constant CONTROL_ENTRY : natural := 0;
    constant INPUT_ENTRY : natural := 1;
    constant OUTPUT_ENTRY : natural := 2;

    subtype label_text is string(1 to <<name_length>>);
    subtype word is std_logic_vector(WIDTH - 1 downto 0);
    subtype raw is std_logic_vector(63 downto 0);
    type raw_kind is (plain, twos_complement, odd);
    type entry_record is record
        name : label_text;
        bits, words, row, base : natural;
        kind : raw_kind;
        low : raw;  -- of odd raws the lowest
    end record;
    type case_record is record
        name : label_text;
        first, steps : natural;
    end record;
    type trace_record is record
        entry, final : integer;  -- -1: not compared
        backward : boolean;  -- traced from the last step of each sequence on
        late : boolean;  -- traced once a sequence
    end record;
    type word_array is array (natural range <>) of word;
    type entry_array is array (natural range <>) of entry_record;
    type case_array is array (natural range <>) of case_record;
    type trace_array is array (natural range <>) of trace_record;
    type integer_array is array (natural range <>) of integer;
    type word_memory is access word_array;  -- for simulators keep large arrays better there than on a stack
    type integer_memory is access integer_array;

    constant ENTRY : entry_array(0 to ENTRIES - 1) := (
<<describe_entries>>
    );
    constant SEQUENCE_OF : case_array(0 to CASES - 1) := (
<<describe_cases>>
    );
    constant STATE_ENTRY : integer_array(0 to STATES) := (<<describe_states>>others => -1);
    constant TRACE : trace_array(0 to SIGNALS) := (
<<describe_traces>>
        others => (-1, -1, false, false)
    );

    function trimmed(text : string) return string is
    begin
        for last in text'high downto text'low loop
            if text(last) /= ' ' then
                return text(text'low to last);
            end if;
        end loop;
        return "";
    end function;

    function digit(sign : character) return natural is
    begin
        case sign is
            when '0' to '9' => return character'pos(sign) - character'pos('0');
            when 'a' to 'f' => return character'pos(sign) - character'pos('a') + 10;
            when others => return 16;
        end case;
    end function;

    function digits_of(number : natural) return positive is
    begin
        return (ENTRY(number).bits + DIGIT_BITS - 1) / DIGIT_BITS;
    end function;

    -- The digits of bits, x where a bit is not 0 or 1.
    function digits_text(bits : std_logic_vector; count : positive) return string is
        constant NUMERALS : string(1 to 16) := "0123456789abcdef";
        variable wide : std_logic_vector(count * DIGIT_BITS - 1 downto 0) := (others => '0');
        variable text : string(1 to count);
        variable nibble : std_logic_vector(DIGIT_BITS - 1 downto 0);
    begin
        for index in 0 to bits'length - 1 loop
            if index < wide'length then
                wide(index) := bits(bits'low + index);
            end if;
        end loop;
        for index in 0 to count - 1 loop
            nibble := wide(DIGIT_BITS * (index + 1) - 1 downto DIGIT_BITS * index);
            text(count - index) := 'x' when is_x(nibble) else NUMERALS(to_integer(unsigned(nibble)) + 1);
        end loop;
        return text;
    end function;

    -- The raw that a word stands for.
    function raw_of(number : natural; code : word) return raw is
        variable bits : std_logic_vector(ENTRY(number).bits - 1 downto 0);
    begin
        bits := code(ENTRY(number).bits - 1 downto 0);
        case ENTRY(number).kind is
            when plain => return raw(resize(unsigned(bits), 64));
            when twos_complement => return raw(resize(signed(bits), 64));
            when odd => return raw(signed(ENTRY(number).low) + signed(resize(unsigned(bits), 63) & '0'));
        end case;
    end function;

    -- The code of a raw; unknown where the raw is none of the format.
    function code_of(number : natural; given : raw) return word is
        variable shifted : raw := given;
        variable code : word := (others => '0');
    begin
        if is_x(given) then
            return (word'range => 'X');
        end if;
        if ENTRY(number).kind = odd then
            shifted := raw(shift_right(signed(given) - signed(ENTRY(number).low), 1));
        end if;
        code(ENTRY(number).bits - 1 downto 0) := shifted(ENTRY(number).bits - 1 downto 0);
        if raw_of(number, code) /= given then
            return (word'range => 'X');
        end if;
        return code;
    end function;

    function bit_of(condition : boolean) return std_logic is
    begin
        if condition then
            return '1';
        end if;
        return '0';
    end function;

    signal clk, reset, in_valid, in_clear, in_last, out_ready, load_valid, load_select : std_logic := '0';
    signal in_ready, out_valid, trace_valid : std_logic;
    signal in_data : std_logic_vector(<<in_bits>> - 1 downto 0) := (others => '0');
    signal out_data : std_logic_vector(<<out_bits>> - 1 downto 0);
    signal load_lstm : std_logic_vector(7 downto 0) := (others => '0');
    signal load_address : std_logic_vector(15 downto 0) := (others => '0');
    signal load_data : std_logic_vector(<<load_bits>> - 1 downto 0) := (others => '0');
    signal trace_signal, trace_unit : std_logic_vector(15 downto 0);
    signal trace_data : raw;
begin
    device : entity work.device_adapter
        port map (
            clk => clk, reset => reset,
            in_valid => in_valid, in_ready => in_ready, in_data => in_data, in_clear => in_clear, in_last => in_last,
            out_valid => out_valid, out_ready => out_ready, out_data => out_data,
            load_valid => load_valid, load_lstm => load_lstm, load_select => load_select,
            load_address => load_address, load_data => load_data,
            trace_valid => trace_valid, trace_signal => trace_signal, trace_unit => trace_unit, trace_data => trace_data
        );

    -- One process makes the clock, drives what the device reads while the clock is low, and looks before it rises.
    main : process
        variable golden_words, found : word_memory;
        variable case_at : integer_memory;  -- of each step
        variable seen : integer_array(0 to SIGNALS);
        variable taken, traced, same, idle : natural := 0;
        variable accepted, waits, mismatched : boolean := false;
        variable waiting : std_logic_vector(out_data'range);
        variable reason : line;
        variable first_seed : positive := SEED;
        variable second_seed : positive := 7;

        procedure stop_with(text : string; status : integer) is
            variable said : line;
        begin
            write(said, text);
            writeline(output, said);
            std.env.stop(status);
            wait;
        end procedure;

        procedure fail(text : string) is
        begin
            stop_with("FAIL " & text, 1);
        end procedure;

        procedure write_words(number : natural) is
            file target : text;
            variable status : file_open_status;
            variable written : line;
        begin
            file_open(status, target, DUMP & "/" & trimmed(ENTRY(number).name) & "<<suffix>>", write_mode);
            if status /= open_ok then
                fail(DUMP & " must be a folder that can be written");
            end if;
            for index in 0 to ENTRY(number).words - 1 loop
                write(written, digits_text(found(ENTRY(number).base + index), digits_of(number)));
                writeline(target, written);
            end loop;
            file_close(target);
        end procedure;

        procedure conclude is
        begin
            if DUMP /= "" then
                write_words(OUTPUT_ENTRY);
                for number in 0 to SIGNALS - 1 loop
                    if TRACE(number).entry >= 0 then
                        write_words(TRACE(number).entry);
                    end if;
                    if TRACE(number).final >= 0 then
                        write_words(TRACE(number).final);
                    end if;
                end loop;
            end if;
            if mismatched then
                fail(reason.all);
            elsif same /= COMPARED then
                fail(integer'image(COMPARED) & " words must be compared, not " & integer'image(same));
            end if;
            stop_with("PASS " & integer'image(same) & " words compared", 0);
        end procedure;

        -- The first mismatch is what fails; with a dump the run goes on.
        procedure wrong(text : string) is
        begin
            if not mismatched then
                write(reason, text);
            end if;
            mismatched := true;
            if DUMP = "" then
                fail(text);
            end if;
        end procedure;

        procedure read_word(number : natural; place : natural; path : string; line_number : positive; given : string) is
            constant COUNT : positive := digits_of(number);
            variable value, limit : natural;
            variable code : word := (others => '0');
            variable good : boolean := given'length = COUNT;
        begin
            for index in 0 to COUNT - 1 loop  -- from the lowest digit on
                exit when not good;
                value := digit(given(given'high - index));
                limit := 2 ** DIGIT_BITS;
                if index = COUNT - 1 then
                    limit := 2 ** (ENTRY(number).bits - DIGIT_BITS * (COUNT - 1));
                end if;
                good := value < limit;
                for bit_place in 0 to DIGIT_BITS - 1 loop
                    if good and DIGIT_BITS * index + bit_place < ENTRY(number).bits then
                        code(DIGIT_BITS * index + bit_place) := to_unsigned(value, 4)(bit_place);
                    end if;
                end loop;
            end loop;
            if not good then
                fail(path & " line " & integer'image(line_number) & " must be one word of " &
                    integer'image(ENTRY(number).bits) & " bits in " & integer'image(COUNT) & " digits of <<encoding>>");
            end if;
            golden_words(ENTRY(number).base + place) := code;
        end procedure;

        -- Every line must be a word of all its digits, and there must be as many as the set says.
        procedure read_entry(number : natural) is
            constant PATH : string := GOLDEN & "/<<encoding>>/" & trimmed(ENTRY(number).name) & "<<suffix>>";
            file source : text;
            variable status : file_open_status;
            variable given : line;
            variable lines : natural := 0;
        begin
            file_open(status, source, PATH, read_mode);
            if status /= open_ok then
                fail(PATH & " must be a readable file");
            end if;
            while not endfile(source) loop
                readline(source, given);
                if lines < ENTRY(number).words then
                    read_word(number, lines, PATH, lines + 1, given.all);
                end if;
                lines := lines + 1;
            end loop;
            file_close(source);
            if lines /= ENTRY(number).words then
                fail(PATH & " must hold " & integer'image(ENTRY(number).words) & " words, not " & integer'image(lines));
            end if;
        end procedure;

        impure function control(step : natural; place : natural) return std_logic is
        begin
            return golden_words(ENTRY(CONTROL_ENTRY).base + step)(place);
        end function;

        procedure require_control is
            variable number : natural;
        begin
            for step in 0 to STEPS - 1 loop
                number := case_at(step);
                if (control(step, 1) = '1') /= (step = SEQUENCE_OF(number).first + SEQUENCE_OF(number).steps - 1) then
                    fail("control must end case " & trimmed(SEQUENCE_OF(number).name) & " with its last step only");
                end if;
            end loop;
        end procedure;

        impure function happens(percent : natural) return boolean is
            variable drawn : real;
        begin
            uniform(first_seed, second_seed, drawn);
            return drawn * 100.0 < real(percent);
        end function;

        procedure compare(number, spot : natural; once : boolean; code : word; shown : std_logic_vector) is
            constant PLACE : natural := ENTRY(number).base + spot;
            constant AT : natural := spot / ENTRY(number).row;
            variable which, step : natural;
        begin
            found(PLACE) := code;
            if code = golden_words(PLACE) then
                same := same + 1;
                return;
            end if;
            which := AT when once else case_at(AT);
            step := SEQUENCE_OF(which).steps - 1 when once else AT - SEQUENCE_OF(which).first;
            wrong(trimmed(ENTRY(number).name) & " case " & trimmed(SEQUENCE_OF(which).name) & " step " &
                integer'image(step) & " unit " & integer'image(spot mod ENTRY(number).row) & ": expected " &
                digits_text(golden_words(PLACE), digits_of(number)) & ", got " &
                digits_text(shown, (shown'length + DIGIT_BITS - 1) / DIGIT_BITS));
        end procedure;

        procedure check_output is
            variable code : word := (others => '0');
        begin
            if taken >= OUTPUTS then
                wrong("outputs must be " & integer'image(OUTPUTS) & " words, not more");
                return;
            end if;
            code(out_data'range) := out_data;
            compare(OUTPUT_ENTRY, taken, OUTPUTS = CASES * ENTRY(OUTPUT_ENTRY).row, code, out_data);
            taken := taken + 1;
        end procedure;

        procedure check_trace is
            variable number, unit, target, mirrored, which, row : natural;
            variable at : integer;
            variable code : word;
        begin
            if is_x(trace_signal) or is_x(trace_unit) then
                wrong("trace_signal and trace_unit must be known");
                return;
            end if;
            number := to_integer(unsigned(trace_signal));
            if number >= SIGNALS then
                wrong("trace_signal must be below " & integer'image(SIGNALS) & ", not " & integer'image(number));
                return;
            end if;
            at := TRACE(number).entry;
            if at < 0 then
                return;
            end if;
            row := ENTRY(at).row;
            target := seen(number) / row;
            unit := seen(number) mod row;
            if seen(number) >= ENTRY(at).words then
                wrong("traces of " & trimmed(ENTRY(at).name) & " must be " & integer'image(ENTRY(at).words) &
                    " words, not more");
                return;
            elsif to_integer(unsigned(trace_unit)) /= unit then
                wrong("trace of " & trimmed(ENTRY(at).name) & " must be of unit " & integer'image(unit) & ", not " &
                    integer'image(to_integer(unsigned(trace_unit))));
            end if;
            which := target when TRACE(number).late else case_at(target);
            mirrored := target;
            if TRACE(number).backward then
                mirrored := 2 * SEQUENCE_OF(which).first + SEQUENCE_OF(which).steps - 1 - target;
            end if;
            code := code_of(at, trace_data);
            compare(at, mirrored * row + unit, TRACE(number).late, code, trace_data);
            if TRACE(number).final >= 0 and target = SEQUENCE_OF(which).first + SEQUENCE_OF(which).steps - 1 then
                compare(TRACE(number).final, which * row + unit, true, code, trace_data);
            end if;
            seen(number) := seen(number) + 1;
            traced := traced + 1;
        end procedure;

        procedure require_known(value : std_logic; name : string) is
        begin
            if value /= '0' and value /= '1' then
                wrong(name & " must be 0 or 1, not " & std_logic'image(value));
            end if;
        end procedure;

        procedure look is
        begin
            require_known(in_ready, "in_ready");
            require_known(out_valid, "out_valid");
            require_known(trace_valid, "trace_valid");
            if trace_valid = '1' then
                check_trace;
            end if;
            if waits and (out_valid /= '1' or out_data /= waiting) then
                wrong("output word " & integer'image(taken) & " must stay until it is taken");
            end if;
            if out_valid = '1' and out_ready = '1' then
                check_output;
            end if;
            waits := out_valid = '1' and out_ready = '0';
            waiting := out_data;
            idle := idle + 1;
            if accepted or trace_valid = '1' or (out_valid = '1' and out_ready = '1') then
                idle := 0;
            end if;
            if idle > PATIENCE then
                if not mismatched then
                    write(reason, "device must go on within " & integer'image(PATIENCE) &
                        " clocks, not stand still after " & integer'image(taken) & " of " & integer'image(OUTPUTS) &
                        " outputs, " & integer'image(traced) & " of " & integer'image(TRACES) & " traces");
                end if;
                mismatched := true;
                conclude;
            end if;
        end procedure;

        procedure tick is
        begin
            out_ready <= bit_of(not happens(PRESSURE));
            wait for 5 ns;
            accepted := reset = '0' and (in_valid = '1' or load_valid = '1') and in_ready = '1';
            if reset = '0' then
                look;
            else
                waits := false;
                idle := 0;
            end if;
            clk <= '1';
            wait for 5 ns;
            clk <= '0';
        end procedure;

        procedure send(step, beat : natural) is
            constant CODE : word := golden_words(ENTRY(INPUT_ENTRY).base + step * INPUTS + beat);
        begin
            while happens(STALL) loop
                tick;
            end loop;
            in_valid <= '1';
            in_clear <= bit_of(beat = 0 and control(step, 0) = '1');
            in_last <= control(step, 1);
            in_data <= CODE(in_data'range);
            tick;
            while not accepted loop
                tick;
            end loop;
            in_valid <= '0';
            in_clear <= '0';
            in_data <= not CODE(in_data'range);
        end procedure;

        -- States are put in when the device is at rest: all outputs of the sequences before have been taken.
        procedure inject(step : natural) is
            constant NUMBER : natural := case_at(step);
            constant ROW : positive := ENTRY(OUTPUT_ENTRY).row;
            variable due, at : natural;
            variable code : word;
        begin
            due := NUMBER * ROW when OUTPUTS = CASES * ROW else step * ROW;
            while taken < due loop
                tick;
            end loop;
            for state in 0 to STATES - 1 loop
                at := STATE_ENTRY(state);
                for unit in 0 to ENTRY(at).row - 1 loop
                    code := golden_words(ENTRY(at).base + NUMBER * ENTRY(at).row + unit);
                    load_valid <= '1';
                    load_lstm <= std_logic_vector(to_unsigned(state / 2, 8));
                    load_select <= bit_of(state mod 2 = 1);
                    load_address <= std_logic_vector(to_unsigned(unit, 16));
                    load_data <= code(load_data'range);
                    tick;
                    while not accepted loop
                        tick;
                    end loop;
                    load_valid <= '0';
                end loop;
            end loop;
        end procedure;

        procedure play(count : natural) is
        begin
            for step in 0 to count - 1 loop
                if control(step, 2) = '1' then
                    inject(step);
                end if;
                for beat in 0 to INPUTS - 1 loop
                    send(step, beat);
                end loop;
            end loop;
        end procedure;

        procedure restart is
        begin
            reset <= '1';
            taken := 0;
            traced := 0;
            same := 0;
            seen := (others => 0);
            for place in found'range loop
                found(place) := (others => 'X');
            end loop;
            for count in 1 to 3 loop
                tick;
            end loop;
            reset <= '0';
        end procedure;
    begin
        golden_words := new word_array(0 to WORDS - 1);
        found := new word_array(0 to WORDS - 1);
        case_at := new integer_array(0 to STEPS - 1);
        for number in SEQUENCE_OF'range loop
            for step in 0 to SEQUENCE_OF(number).steps - 1 loop
                case_at(SEQUENCE_OF(number).first + step) := number;
            end loop;
        end loop;
        for number in 0 to ENTRIES - 1 loop
            read_entry(number);
        end loop;
        require_control;
        for pass in 1 to RESTARTS loop
            restart;
            play(STEPS * pass / (RESTARTS + 1));
            if control(STEPS * pass / (RESTARTS + 1), 2) = '0' then
                send(STEPS * pass / (RESTARTS + 1), 0);
            end if;
            for count in 1 to 17 * pass loop
                tick;
            end loop;
        end loop;
        restart;
        play(STEPS);
        while taken < OUTPUTS or traced < TRACES loop
            tick;
        end loop;
        for count in 1 to SETTLE loop
            tick;
        end loop;
        conclude;
        wait;
    end process;
end architecture;
