// Self-checking bench of a golden set: it plays the set's sequences through device_adapter and compares every word.
//
// <<about>>
// It prints one line, "PASS <words> words compared" or "FAIL <reason>", and ends with exit status 0 or 1.
// Build with device_adapter and what that needs; run with
//   +golden=FOLDER   the golden set, before the parameter GOLDEN; relative paths start at the working directory
//   +dump=FOLDER     write what the device gave into this folder, which must exist, and go on after a mismatch
//   +stall=P +pressure=P   percent of clocks without an input, and without a reader of outputs
//   +restarts=N      resets in mid-stream, each followed by the set from its start
//   +patience=N      clocks without progress after which the bench gives up
//   +seed=N          of the clocks that are chosen for stalls
`timescale 1ns / 1ns
module bench #(
    parameter GOLDEN = "<<golden>>",
    parameter STALL = <<stall>>,
    parameter PRESSURE = <<pressure>>,
    parameter RESTARTS = <<restarts>>,
    parameter PATIENCE = <<patience>>
);
    localparam ENTRIES = <<entries>>, WORDS = <<words>>, WIDTH = <<width>>, DIGITS = <<digits>>;
    localparam STEPS = <<steps>>, CASES = <<cases>>, SIGNALS = <<signals>>, STATES = <<states>>;
    localparam INPUTS = <<inputs>>, OUTPUTS = <<outputs>>, TRACES = <<traces>>, COMPARED = <<compared>>;
    localparam CONTROL = 0, INPUT = 1, OUTPUT = 2;  // entries
    localparam DIGIT_BITS = <<digit_bits>>, NAME = 8 * <<name_length>>, PATH = 8 * 512, SETTLE = 64;
    localparam IN_BITS = <<in_bits>>, OUT_BITS = <<out_bits>>, LOAD_BITS = <<load_bits>>;

    // Device.
    reg clk = 0, reset = 1;
    always #5 clk = ~clk;
    reg in_valid = 0, in_clear = 0, in_last = 0, out_ready = 0;
    reg [IN_BITS-1:0] in_data = {IN_BITS{1'bx}};
    reg load_valid = 0, load_select = 0;
    reg [7:0] load_lstm = 0;
    reg [15:0] load_address = 0;
    reg [LOAD_BITS-1:0] load_data = {LOAD_BITS{1'bx}};
    wire in_ready, out_valid, trace_valid;
    wire [OUT_BITS-1:0] out_data;
    wire [15:0] trace_signal, trace_unit;
    wire signed [63:0] trace_data;
    device_adapter device (
        .clk(clk), .reset(reset),
        .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data), .in_clear(in_clear), .in_last(in_last),
        .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data),
        .load_valid(load_valid), .load_lstm(load_lstm), .load_select(load_select),
        .load_address(load_address), .load_data(load_data),
        .trace_valid(trace_valid), .trace_signal(trace_signal), .trace_unit(trace_unit), .trace_data(trace_data)
    );

    // The set: its entries one after the other in one memory, and the same places for what the device gives.
    reg [WIDTH-1:0] golden [0:WORDS-1];
    reg [WIDTH-1:0] found [0:WORDS-1];
    reg [NAME-1:0] name [0:ENTRIES-1];
    integer bits [0:ENTRIES-1], words [0:ENTRIES-1], row [0:ENTRIES-1], base [0:ENTRIES-1];
    reg [1:0] kind [0:ENTRIES-1];  // of raws: 0 unsigned, 1 in two's complement, 2 odd, from low on
    reg signed [63:0] low [0:ENTRIES-1];
    reg [NAME-1:0] case_name [0:CASES-1];
    integer first [0:CASES-1], length [0:CASES-1], case_at [0:STEPS-1];
    integer state_entry [0:STATES];  // of each LSTM: hidden, cell
    integer signal_entry [0:SIGNALS], final_entry [0:SIGNALS], seen [0:SIGNALS];  // -1: not compared
    reg backward [0:SIGNALS];  // traced from the last step of each sequence on
    reg late [0:SIGNALS];  // traced once a sequence

    task entry(
        input integer number, input [NAME-1:0] text, input integer width, count, step_words, start,
        input [1:0] raws, input signed [63:0] least
    );
        begin
            name[number] = text;
            bits[number] = width;
            words[number] = count;
            row[number] = step_words;
            base[number] = start;
            kind[number] = raws;
            low[number] = least;
        end
    endtask

    task sequence_of(input integer number, input [NAME-1:0] text, input integer start, steps);
        begin
            case_name[number] = text;
            first[number] = start;
            length[number] = steps;
            for (place = start; place < start + steps; place = place + 1) case_at[place] = number;
        end
    endtask

    task signal(input integer number, traced, last_state, input reversed, once);
        begin
            signal_entry[number] = traced;
            final_entry[number] = last_state;
            backward[number] = reversed;
            late[number] = once;
        end
    endtask

    task describe;
        begin
            for (place = 0; place < SIGNALS; place = place + 1) signal_entry[place] = -1;
<<describe>>
        end
    endtask

    // Files: every line must be a word of all its digits, before the memory is read, for simulators forgive too much.
    reg [PATH-1:0] folder, dump, path;
    reg [8*(DIGITS+2)-1:0] line;
    reg [8*(512+256)-1:0] report;
    reg ended = 0, dumps = 0, mismatched = 0;
    integer file, lines, size, place;

    function integer digit(input [7:0] sign);
        digit = sign >= "0" && sign <= "9" ? sign - "0" : sign >= "a" && sign <= "f" ? sign - "a" + 10 : 16;
    endfunction

    function integer digits_of(input integer number);
        digits_of = (bits[number] + DIGIT_BITS - 1) / DIGIT_BITS;
    endfunction

    function is_word(input integer number);
        integer index, count;
        begin
            count = digits_of(number);
            is_word = size == count + 1 && line[7:0] == 8'd10;
            for (index = 0; index < count && is_word; index = index + 1)
                is_word = digit(line[8*(index+1) +: 8]) < (index == count - 1
                    ? 1 << (bits[number] - DIGIT_BITS * (count - 1)) : 1 << DIGIT_BITS);
        end
    endfunction

    task read(input integer number);
        begin
            $sformat(path, "%0s/<<encoding>>/%0s<<suffix>>", folder, name[number]);
            file = $fopen(path, "r");
            if (file == 0) begin
                $sformat(report, "%0s must be a readable file", path);
                fail;
            end
            else begin
                lines = 0;
                size = $fgets(line, file);
                while (size > 0 && !ended) begin
                    lines = lines + 1;
                    if (!is_word(number)) begin
                        $sformat(report, "%0s line %0d must be one word of %0d bits in %0d digits of <<encoding>>",
                                 path, lines, bits[number], digits_of(number));
                        fail;
                    end
                    size = $fgets(line, file);
                end
                $fclose(file);
                if (!ended && lines != words[number]) begin
                    $sformat(report, "%0s must hold %0d words, not %0d", path, words[number], lines);
                    fail;
                end
                if (!ended) fill(number);
            end
        end
    endtask

    task fill(input integer number);
        begin
            $readmem<<radix>>(path, golden, base[number], base[number] + words[number] - 1);
            for (place = base[number]; place < base[number] + words[number] && !ended; place = place + 1)
                if (^golden[place] === 1'bx) begin
                    $sformat(report, "%0s word %0d must be known, not %h", path, place - base[number], golden[place]);
                    fail;
                end
        end
    endtask

    // Verdict.
    task fail;
        if (!ended) begin
            ended = 1;
            $display("FAIL %0s", report);
<<exit>>
        end
    endtask

    // The first mismatch is what fails; with a dump the run goes on.
    reg [8*(512+256)-1:0] reason;
    task wrong;
        begin
            if (!mismatched) reason = report;
            mismatched = 1;
            if (!dumps) fail;
        end
    endtask

    task conclude;
        begin
            if (dumps) write_dump;
            if (mismatched) begin
                report = reason;
                fail;
            end
            else if (compared != COMPARED) begin
                $sformat(report, "%0d words must be compared, not %0d", COMPARED, compared);
                fail;
            end
            else if (!ended) begin
                ended = 1;
                $display("PASS %0d words compared", compared);
                $finish;
            end
        end
    endtask

    task write_dump;
        begin
            write_words(OUTPUT);
            for (place = 0; place < SIGNALS; place = place + 1)
                if (signal_entry[place] >= 0) begin
                    write_words(signal_entry[place]);
                    if (final_entry[place] >= 0) write_words(final_entry[place]);
                end
        end
    endtask

    task write_words(input integer number);
        integer word, index;
        reg [WIDTH+3:0] value;
        begin
            $sformat(path, "%0s/%0s<<suffix>>", dump, name[number]);
            file = $fopen(path, "w");
            if (file == 0) begin
                $sformat(report, "%0s must be a file that can be written", path);
                wrong;
            end
            else begin
                for (word = 0; word < words[number]; word = word + 1) begin
                    value = found[base[number] + word];
                    for (index = digits_of(number) - 1; index >= 0; index = index - 1)
                        $fwrite(file, "%<<radix>>", value[DIGIT_BITS*index +: DIGIT_BITS]);
                    $fwrite(file, "\n");
                end
                $fclose(file);
            end
        end
    endtask

    // Stimuli are driven at falling edges, so that nothing changes at rising ones. Data that are not valid are unknown.
    integer seed, stalls, pressures, stall, pressure, restarts, patience;
    integer step, beat, pass, index, state;
    reg accepted = 0;

    task clocks(input integer count);
        repeat (count) @(negedge clk);
    endtask

    task send;
        begin
            while ($unsigned($random(stalls)) % 100 < stall) clocks(1);
            in_valid = 1;
            in_clear = beat == 0 && golden[base[CONTROL] + step][0];
            in_last = golden[base[CONTROL] + step][1];
            in_data = golden[base[INPUT] + step * row[INPUT] + beat];
            clocks(1);
            while (!accepted && !ended) clocks(1);
            in_valid = 0;
            in_clear = 0;
            in_data = {IN_BITS{1'bx}};
        end
    endtask

    // States are put in when the device is at rest: all outputs of the sequences before have been taken.
    task inject(input integer number);
        begin
            while (taken < (OUTPUTS == CASES * row[OUTPUT] ? number : step) * row[OUTPUT] && !ended) clocks(1);
            for (state = 0; state < STATES; state = state + 1)
                for (index = 0; index < row[state_entry[state]]; index = index + 1) begin
                    load_valid = 1;
                    load_lstm = state / 2;
                    load_select = state % 2;
                    load_address = index;
                    load_data = golden[base[state_entry[state]] + number * row[state_entry[state]] + index];
                    clocks(1);
                    while (!accepted && !ended) clocks(1);
                    load_valid = 0;
                    load_data = {LOAD_BITS{1'bx}};
                end
        end
    endtask

    task play(input integer steps);
        for (step = 0; step < steps && !ended; step = step + 1) begin
            if (golden[base[CONTROL] + step][2]) inject(case_at[step]);
            for (beat = 0; beat < INPUTS && !ended; beat = beat + 1) send;
        end
    endtask

    task restart;
        begin
            reset = 1;
            taken = 0;
            traced = 0;
            compared = 0;
            for (place = 0; place < SIGNALS; place = place + 1) seen[place] = 0;
            for (place = 0; place < WORDS; place = place + 1) found[place] = {WIDTH{1'bx}};
            clocks(3);
            reset = 0;
        end
    endtask

    task require_control;
        for (step = 0; step < STEPS && !ended; step = step + 1)
            if (golden[step][1] !== (step == first[case_at[step]] + length[case_at[step]] - 1)) begin
                $sformat(report, "control must end case %0s with its step %0d, not otherwise at step %0d",
                         case_name[case_at[step]], length[case_at[step]] - 1, step - first[case_at[step]]);
                fail;
            end
    endtask

    initial begin
        if (!$value$plusargs("golden=%s", folder)) folder = GOLDEN;
        dumps = $value$plusargs("dump=%s", dump);
        if (!$value$plusargs("stall=%d", stall)) stall = STALL;
        if (!$value$plusargs("pressure=%d", pressure)) pressure = PRESSURE;
        if (!$value$plusargs("restarts=%d", restarts)) restarts = RESTARTS;
        if (!$value$plusargs("patience=%d", patience)) patience = PATIENCE;
        if (!$value$plusargs("seed=%d", seed)) seed = 1;
        stalls = seed;
        pressures = seed + 1;
        for (place = 0; place < WORDS; place = place + 1) golden[place] = {WIDTH{1'bx}};
        describe;
        for (index = 0; index < ENTRIES && !ended; index = index + 1) read(index);
        require_control;
        if (!ended) run;
    end

    task run;
        begin
            for (pass = 1; pass <= restarts && !ended; pass = pass + 1) begin
                restart;
                play(STEPS * pass / (restarts + 1));
                beat = 0;
                if (!golden[base[CONTROL] + step][2]) send;
                clocks(17 * pass);
            end
            restart;
            play(STEPS);
            while ((taken < OUTPUTS || traced < TRACES) && !ended) clocks(1);
            clocks(SETTLE);
            conclude;
        end
    endtask

    // What the device gives: compared word by word, and the rules of its ports.
    integer taken = 0, traced = 0, compared = 0, idle = 0;
    reg waits = 0;
    reg [OUT_BITS-1:0] waiting;
    always @(negedge clk) out_ready <= $unsigned($random(pressures)) % 100 >= pressure;
    always @(posedge clk) accepted <= !reset && (in_valid || load_valid) && in_ready === 1'b1;
    always @(posedge clk) if (reset || ended) begin
        waits <= 0;
        idle = 0;
    end
    else begin
        require_known(in_ready, "in_ready");
        require_known(out_valid, "out_valid");
        require_known(trace_valid, "trace_valid");
        if (trace_valid === 1'b1) check_trace;
        if (waits && (out_valid !== 1'b1 || out_data !== waiting)) begin
            $sformat(report, "output word %0d must stay %h until it is taken, not become %h", taken, waiting, out_data);
            wrong;
        end
        if (out_valid === 1'b1 && out_ready) check_output;
        waits <= out_valid === 1'b1 && !out_ready;
        waiting <= out_data;
        idle = trace_valid === 1'b1 || (out_valid === 1'b1 && out_ready) || accepted ? 0 : idle + 1;
        if (idle > patience && !ended) give_up;
    end

    task give_up;
        begin
            $sformat(report, {"device must go on within %0d clocks, not stand still after %0d of %0d outputs, ",
                              "%0d of %0d traces"},
                     patience, taken, OUTPUTS, traced, TRACES);
            if (!mismatched) reason = report;
            mismatched = 1;
            conclude;
        end
    endtask

    task require_known(input value, input [NAME-1:0] text);
        if (value !== 1'b0 && value !== 1'b1) begin
            $sformat(report, "%0s must be 0 or 1, not %b", text, value);
            wrong;
        end
    endtask

    task check_output;
        if (taken >= OUTPUTS) begin
            $sformat(report, "outputs must be %0d words, not more", OUTPUTS);
            wrong;
        end
        else begin
            compare(OUTPUT, taken, OUTPUTS == CASES * row[OUTPUT], out_data, out_data);
            taken = taken + 1;
        end
    endtask

    // The code of a traced raw; unknown where the raw is none of the format.
    function [WIDTH-1:0] code_of(input integer number, input signed [63:0] raw);
        reg signed [63:0] code, back;
        begin
            code = kind[number] == 2 ? (raw - low[number]) >>> 1 : raw;
            code = code & ~(~64'd0 << bits[number]);
            back = kind[number] == 2 ? low[number] + (code <<< 1)
                : kind[number] == 1 && code[bits[number]-1] ? code | ~64'd0 << bits[number] : code;
            code_of = back === raw ? code : {WIDTH{1'bx}};
        end
    endfunction

    integer at, target, mirrored, unit, member;
    task check_trace;
        if ((trace_signal < SIGNALS) !== 1'b1) begin
            $sformat(report, "trace_signal must be below %0d, not %0d", SIGNALS, trace_signal);
            wrong;
        end
        else if (signal_entry[trace_signal] >= 0) begin
            at = signal_entry[trace_signal];
            if (seen[trace_signal] >= words[at]) begin
                $sformat(report, "traces of %0s must be %0d words, not more", name[at], words[at]);
                wrong;
            end
            else check_place;
        end
    endtask

    task check_place;
        begin
            target = seen[trace_signal] / row[at];
            unit = seen[trace_signal] % row[at];
            member = late[trace_signal] ? target : case_at[target];
            if (trace_unit !== unit) begin
                $sformat(report, "trace of %0s must be of unit %0d, not %0d", name[at], unit, trace_unit);
                wrong;
            end
            mirrored = backward[trace_signal] ? 2 * first[member] + length[member] - 1 - target : target;
            compare(at, mirrored * row[at] + unit, late[trace_signal], code_of(at, trace_data), trace_data);
            if (final_entry[trace_signal] >= 0 && target == first[member] + length[member] - 1)
                compare(final_entry[trace_signal], member * row[at] + unit, 1'b1,
                        code_of(at, trace_data), trace_data);
            seen[trace_signal] = seen[trace_signal] + 1;
            traced = traced + 1;
        end
    endtask

    integer lane, when, which;
    task compare(input integer number, spot, input once, input [WIDTH-1:0] code, input [(WIDTH>64?WIDTH:64)-1:0] shown);
        begin
            found[base[number] + spot] = code;
            if (code === golden[base[number] + spot]) compared = compared + 1;
            else begin
                lane = spot % row[number];
                when = spot / row[number];
                which = once ? when : case_at[when];
                $sformat(report, "%0s case %0s step %0d unit %0d: expected %0h, got %0h",
                         name[number], case_name[which],
                         once ? length[which] - 1 : when - first[which], lane, golden[base[number] + spot],
                         ^code === 1'bx ? shown : code);
                wrong;
            end
        end
    endtask
endmodule
