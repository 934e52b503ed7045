// One direction of an LSTM, gates input, forget, candidate and output, a unit after the other.
//
// Ports carry codes, a value a beat; traces are raws. trace_signal is 6 * gate + (0 input_accumulator,
// 1 recurrent_accumulator, 2 input_sum, 3 recurrent_sum, 4 preactivation, 5 the gate itself), then 24 forget_product,
// 25 input_product, 26 cell, 27 cell_input, 28 cell_activation, 29 hidden. A step with in_clear starts from the initial
// state. load_select 0 writes the hidden state, 1 the cell, while no beat of a step has been taken; the whole state
// must be loaded. in_last and load_direction are not read.
module fixedsim_lstm #(
    parameter INPUTS = 1,
    parameter UNITS = 1,
    parameter INPUT_BITS = 8,
    parameter signed [64:0] INPUT_LOW = -128,
    parameter INPUT_STEP = 1,
    parameter INPUT_WEIGHT_BITS = 8,
    parameter signed [64:0] INPUT_WEIGHT_LOW = -128,
    parameter INPUT_WEIGHT_STEP = 1,
    parameter RECURRENT_WEIGHT_BITS = 8,
    parameter signed [64:0] RECURRENT_WEIGHT_LOW = -128,
    parameter RECURRENT_WEIGHT_STEP = 1,
    parameter PRODUCT_BITS = 62,
    parameter PRODUCT_LEFT = 0,
    parameter PRODUCT_RIGHT = 0,
    parameter PRODUCT_ROUNDING = 0,
    parameter PRODUCT_OVERFLOW = 1,
    parameter ACCUMULATOR_BITS = 48,
    parameter ACCUMULATOR_OVERFLOW = 1,
    parameter ACCUMULATOR_LEAST = 48,
    parameter BIAS_BITS = 32,
    parameter BIAS_LEFT = 0,
    parameter MULTIPLIER_BITS = 1,
    parameter SUM_BITS = 24,
    parameter SUM_LEFT = 0,
    parameter SUM_RIGHT = 0,
    parameter SUM_ROUNDING = 2,
    parameter SUM_OVERFLOW = 1,
    parameter PREACTIVATION_BITS = 16,
    parameter PREACTIVATION_SHIFT = 4,
    parameter PREACTIVATION_ROUNDING = 2,
    parameter PREACTIVATION_OVERFLOW = 1,
    parameter GATE_TABLE_VALUES = 1025,
    parameter GATE_TABLE_BITS = 16,
    parameter GATE_TABLE_SIGNED = 0,
    parameter GATE_TABLE_INDEX_SHIFT = 6,
    parameter signed [63:0] GATE_TABLE_OFFSET = 512,
    parameter GATE_TABLE_ROUNDING = 2,
    parameter GATE_BITS = 16,
    parameter GATE_SIGNED = 0,
    parameter GATE_SHIFT = 0,
    parameter GATE_ROUNDING = 0,
    parameter GATE_OVERFLOW = 1,
    parameter CANDIDATE_TABLE_VALUES = 1025,
    parameter CANDIDATE_TABLE_BITS = 16,
    parameter CANDIDATE_TABLE_SIGNED = 1,
    parameter CANDIDATE_TABLE_INDEX_SHIFT = 6,
    parameter signed [63:0] CANDIDATE_TABLE_OFFSET = 512,
    parameter CANDIDATE_TABLE_ROUNDING = 2,
    parameter CANDIDATE_BITS = 16,
    parameter CANDIDATE_SIGNED = 1,
    parameter CANDIDATE_SHIFT = 0,
    parameter CANDIDATE_ROUNDING = 0,
    parameter CANDIDATE_OVERFLOW = 1,
    parameter FORGET_PRODUCT_BITS = 61,
    parameter FORGET_PRODUCT_SHIFT = -4,
    parameter FORGET_PRODUCT_ROUNDING = 0,
    parameter FORGET_PRODUCT_OVERFLOW = 1,
    parameter INPUT_PRODUCT_BITS = 61,
    parameter INPUT_PRODUCT_SHIFT = 0,
    parameter INPUT_PRODUCT_ROUNDING = 0,
    parameter INPUT_PRODUCT_OVERFLOW = 1,
    parameter CELL_BITS = 16,
    parameter CELL_SHIFT = 20,
    parameter CELL_ROUNDING = 2,
    parameter CELL_OVERFLOW = 1,
    parameter CELL_INPUT_BITS = 16,
    parameter CELL_INPUT_SHIFT = 0,
    parameter CELL_INPUT_ROUNDING = 0,
    parameter CELL_INPUT_OVERFLOW = 1,
    parameter CELL_TABLE_VALUES = 1025,
    parameter CELL_TABLE_BITS = 16,
    parameter CELL_TABLE_SIGNED = 1,
    parameter CELL_TABLE_INDEX_SHIFT = 6,
    parameter signed [63:0] CELL_TABLE_OFFSET = 512,
    parameter CELL_TABLE_ROUNDING = 2,
    parameter CELL_OUTPUT_BITS = 16,
    parameter CELL_OUTPUT_SIGNED = 1,
    parameter CELL_OUTPUT_SHIFT = 0,
    parameter CELL_OUTPUT_ROUNDING = 0,
    parameter CELL_OUTPUT_OVERFLOW = 1,
    parameter HIDDEN_BITS = 8,
    parameter signed [64:0] HIDDEN_LOW = -128,
    parameter signed [64:0] HIDDEN_HIGH = 127,
    parameter HIDDEN_STEP = 1,
    parameter HIDDEN_SHIFT = 24,
    parameter HIDDEN_MULTIPLIER_BITS = 1,
    parameter [31:0] HIDDEN_MULTIPLIER = 1,
    parameter HIDDEN_ROUNDING = 6,
    parameter HIDDEN_OVERFLOW = 1,
    parameter signed [64:0] INITIAL_HIDDEN = 0,
    parameter signed [64:0] INITIAL_CELL = 0,
    parameter LOAD_BITS = 16,  // of load_data: the wider of HIDDEN_BITS and CELL_BITS
    parameter GATE_TABLE_FILE = "gate_table.hex",
    parameter CANDIDATE_TABLE_FILE = "candidate_table.hex",
    parameter CELL_TABLE_FILE = "cell_table.hex",
    parameter INPUT_WEIGHT_FILE = "input_weight.hex",
    parameter INPUT_PRODUCT_SHIFT_FILE = "input_product_shift.hex",
    parameter INPUT_MULTIPLIER_FILE = "input_multiplier.hex",
    parameter INPUT_SHIFT_FILE = "input_shift.hex",
    parameter RECURRENT_WEIGHT_FILE = "recurrent_weight.hex",
    parameter RECURRENT_PRODUCT_SHIFT_FILE = "recurrent_product_shift.hex",
    parameter RECURRENT_MULTIPLIER_FILE = "recurrent_multiplier.hex",
    parameter RECURRENT_SHIFT_FILE = "recurrent_shift.hex",
    parameter BIAS_FILE = "bias.hex",
    parameter BIAS_SHIFT_FILE = "bias_shift.hex"
) (
    input clk,
    input reset,
    input in_valid,
    output in_ready,
    input [INPUT_BITS-1:0] in_data,
    input in_clear,
    input in_last,
    output out_valid,
    input out_ready,
    output [HIDDEN_BITS-1:0] out_data,
    input load_valid,
    input load_direction,
    input load_select,
    input [15:0] load_address,
    input [LOAD_BITS-1:0] load_data,
    output reg trace_valid,
    output reg [7:0] trace_signal,
    output reg [15:0] trace_unit,
    output reg signed [63:0] trace_data
);
    wire unused = &{1'b0, in_last, load_direction};

    localparam READ = 0, START = 1, ADD = 2, INPUT_ACCUMULATOR = 3, RECURRENT_ACCUMULATOR = 4, INPUT_SUM = 5;
    localparam RECURRENT_SUM = 6, PREACTIVATION = 7, GATE = 8, FORGET_PRODUCT = 9, INPUT_PRODUCT = 10, CELL = 11;
    localparam CELL_INPUT = 12, CELL_ACTIVATION = 13, HIDDEN = 14, EMIT = 15;
    localparam ROWS = 4 * UNITS;
    localparam CANDIDATE_GATE = 2'd2;
    reg [3:0] state;
    reg [1:0] gate;
    reg [15:0] unit, column;

    // The input vector, as codes, and the state, as raws. A fresh state is the initial one, whatever the memories hold.
    reg [INPUT_BITS-1:0] vector[0:INPUTS-1];
    reg signed [HIDDEN_BITS:0] hiddens[0:UNITS-1];
    reg signed [CELL_BITS:0] cells[0:UNITS-1];
    reg fresh_hidden, fresh_cell;
    assign in_ready = state == READ;
`ifdef FAULT_VALID_IGNORED
    wire taken = in_ready;
`else
    wire taken = in_valid && in_ready;
`endif
    always @(posedge clk) if (taken) vector[column] <= in_data;

`ifdef FAULT_INPUTS_REVERSED
    wire [15:0] place = INPUTS - 1 - column;
`else
    wire [15:0] place = column;
`endif
    wire signed [INPUT_BITS:0] input_operand;
    fixedsim_raw #(
`ifdef FAULT_INPUT_SIGN_LOST
        .LOW(INPUT_STEP == 2 ? INPUT_LOW : 65'sd0),
`else
        .LOW(INPUT_LOW),
`endif
        .BITS(INPUT_BITS),
        .STEP(INPUT_STEP)
    ) input_raw (
        .code(vector[place]),
        .raw(input_operand)
    );
    wire signed [HIDDEN_BITS:0] initial_hidden = INITIAL_HIDDEN;
    wire signed [CELL_BITS:0] initial_cell = INITIAL_CELL;
`ifdef FAULT_HIDDEN_STALE
    reg signed [HIDDEN_BITS:0] stale[0:UNITS-1];
    wire signed [HIDDEN_BITS:0] hidden_operand = fresh_hidden ? initial_hidden : stale[column];
`else
    wire signed [HIDDEN_BITS:0] hidden_operand = fresh_hidden ? initial_hidden : hiddens[column];
`endif

    // The accumulators of one row, of the inputs and of the hidden state, and their sums.
    reg signed [BIAS_BITS-1:0] biases[0:ROWS-1];
    reg [5:0] bias_shifts[0:ROWS-1];
    initial begin
        $readmemh(BIAS_FILE, biases);
        $readmemh(BIAS_SHIFT_FILE, bias_shifts);
    end
`ifdef FAULT_INPUT_FORGET_SWAPPED
    wire [1:0] block = gate[1] ? gate : gate ^ 2'd1;
`elsif FAULT_CANDIDATE_OUTPUT_SWAPPED
    wire [1:0] block = gate[1] ? gate ^ 2'd1 : gate;
`else
    wire [1:0] block = gate;
`endif
    wire [15:0] row = block * UNITS + unit;
    localparam FIRST_BITS = BIAS_BITS + BIAS_LEFT + 1;
    wire signed [FIRST_BITS-1:0] bias = biases[row];
`ifdef FAULT_BIAS_MISSING
    wire signed [FIRST_BITS-1:0] first = 0;
`elsif FAULT_BIAS_TWICE
    wire signed [FIRST_BITS-1:0] first = (bias <<< bias_shifts[row]) <<< 1;
`else
    wire signed [FIRST_BITS-1:0] first = bias <<< bias_shifts[row];
`endif

`ifdef FAULT_LAST_INPUT_SKIPPED
    localparam INPUTS_READ = INPUTS - 1;
`else
    localparam INPUTS_READ = INPUTS;
`endif
    localparam LAST = (INPUTS > UNITS ? INPUTS : UNITS) - 1;

    wire signed [ACCUMULATOR_BITS:0] input_total, recurrent_total;
    wire signed [SUM_BITS:0] input_scaled, recurrent_scaled;
    fixedsim_matrix #(
        .ROWS(ROWS),
        .COLUMNS(INPUTS),
        .WEIGHT_BITS(INPUT_WEIGHT_BITS),
        .WEIGHT_LOW(INPUT_WEIGHT_LOW),
        .WEIGHT_STEP(INPUT_WEIGHT_STEP),
        .OPERAND_BITS(INPUT_BITS),
        .FIRST_BITS(FIRST_BITS),
        .PRODUCT_BITS(PRODUCT_BITS),
        .PRODUCT_LEFT(PRODUCT_LEFT),
        .PRODUCT_RIGHT(PRODUCT_RIGHT),
        .PRODUCT_ROUNDING(PRODUCT_ROUNDING),
        .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
        .ACCUMULATOR_OVERFLOW(ACCUMULATOR_OVERFLOW),
        .ACCUMULATOR_LEAST(ACCUMULATOR_LEAST),
        .MULTIPLIER_BITS(MULTIPLIER_BITS),
        .SUM_BITS(SUM_BITS),
        .SUM_LEFT(SUM_LEFT),
        .SUM_RIGHT(SUM_RIGHT),
        .SUM_ROUNDING(SUM_ROUNDING),
        .SUM_OVERFLOW(SUM_OVERFLOW),
        .WEIGHT_FILE(INPUT_WEIGHT_FILE),
        .PRODUCT_SHIFT_FILE(INPUT_PRODUCT_SHIFT_FILE),
        .MULTIPLIER_FILE(INPUT_MULTIPLIER_FILE),
        .SHIFT_FILE(INPUT_SHIFT_FILE)
    ) input_matrix (
        .clk(clk),
        .start(state == START),
        .add(state == ADD && column < INPUTS_READ),
        .row(row),
        .column(column),
        .first(first),
        .operand(input_operand),
        .total(input_total),
        .sum(input_scaled)
    );
    fixedsim_matrix #(
        .ROWS(ROWS),
        .COLUMNS(UNITS),
        .WEIGHT_BITS(RECURRENT_WEIGHT_BITS),
        .WEIGHT_LOW(RECURRENT_WEIGHT_LOW),
        .WEIGHT_STEP(RECURRENT_WEIGHT_STEP),
        .OPERAND_BITS(HIDDEN_BITS),
        .FIRST_BITS(2),
        .PRODUCT_BITS(PRODUCT_BITS),
        .PRODUCT_LEFT(PRODUCT_LEFT),
        .PRODUCT_RIGHT(PRODUCT_RIGHT),
        .PRODUCT_ROUNDING(PRODUCT_ROUNDING),
        .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
        .ACCUMULATOR_OVERFLOW(ACCUMULATOR_OVERFLOW),
        .ACCUMULATOR_LEAST(ACCUMULATOR_LEAST),
        .MULTIPLIER_BITS(MULTIPLIER_BITS),
        .SUM_BITS(SUM_BITS),
        .SUM_LEFT(SUM_LEFT),
        .SUM_RIGHT(SUM_RIGHT),
        .SUM_ROUNDING(SUM_ROUNDING),
        .SUM_OVERFLOW(SUM_OVERFLOW),
        .WEIGHT_FILE(RECURRENT_WEIGHT_FILE),
        .PRODUCT_SHIFT_FILE(RECURRENT_PRODUCT_SHIFT_FILE),
        .MULTIPLIER_FILE(RECURRENT_MULTIPLIER_FILE),
        .SHIFT_FILE(RECURRENT_SHIFT_FILE)
    ) recurrent_matrix (
        .clk(clk),
        .start(state == START),
        .add(state == ADD && column < UNITS),
        .row(row),
        .column(column),
        .first(2'sd0),
        .operand(hidden_operand),
        .total(recurrent_total),
        .sum(recurrent_scaled)
    );

    // The gates: the sums added, narrowed, looked up and narrowed.
    reg signed [SUM_BITS:0] input_sum, recurrent_sum;
    wire signed [SUM_BITS+1:0] both = input_sum + recurrent_sum;
    wire signed [PREACTIVATION_BITS:0] narrowed;
    fixedsim_stage #(
        .VALUE_BITS(SUM_BITS + 2),
        .BITS(PREACTIVATION_BITS),
        .SHIFT(PREACTIVATION_SHIFT),
        .ROUNDING(PREACTIVATION_ROUNDING),
        .OVERFLOW(PREACTIVATION_OVERFLOW)
    ) preactivation_stage (
        .value(both),
        .raw(narrowed)
    );

    reg signed [PREACTIVATION_BITS:0] preactivation;
    wire signed [GATE_TABLE_BITS:0] gate_value;
    fixedsim_table #(
        .INPUT_BITS(PREACTIVATION_BITS),
        .VALUES(GATE_TABLE_VALUES),
        .BITS(GATE_TABLE_BITS),
        .SIGNED(GATE_TABLE_SIGNED),
        .INDEX_SHIFT(GATE_TABLE_INDEX_SHIFT),
        .OFFSET(GATE_TABLE_OFFSET),
        .ROUNDING(GATE_TABLE_ROUNDING),
        .FILE(GATE_TABLE_FILE)
    ) gate_table (
        .raw(preactivation),
        .value(gate_value)
    );
    wire signed [CANDIDATE_TABLE_BITS:0] candidate_value;
    fixedsim_table #(
        .INPUT_BITS(PREACTIVATION_BITS),
        .VALUES(CANDIDATE_TABLE_VALUES),
        .BITS(CANDIDATE_TABLE_BITS),
        .SIGNED(CANDIDATE_TABLE_SIGNED),
        .INDEX_SHIFT(CANDIDATE_TABLE_INDEX_SHIFT),
        .OFFSET(CANDIDATE_TABLE_OFFSET),
        .ROUNDING(CANDIDATE_TABLE_ROUNDING),
        .FILE(CANDIDATE_TABLE_FILE)
    ) candidate_table (
        .raw(preactivation),
        .value(candidate_value)
    );
    wire signed [GATE_BITS:0] gate_raw;
    fixedsim_stage #(
        .VALUE_BITS(GATE_TABLE_BITS + 1),
        .BITS(GATE_BITS),
        .SIGNED(GATE_SIGNED),
        .SHIFT(GATE_SHIFT),
        .ROUNDING(GATE_ROUNDING),
        .OVERFLOW(GATE_OVERFLOW)
    ) gate_stage (
        .value(gate_value),
        .raw(gate_raw)
    );
    wire signed [CANDIDATE_BITS:0] candidate_raw;
    fixedsim_stage #(
        .VALUE_BITS(CANDIDATE_TABLE_BITS + 1),
        .BITS(CANDIDATE_BITS),
        .SIGNED(CANDIDATE_SIGNED),
        .SHIFT(CANDIDATE_SHIFT),
        .ROUNDING(CANDIDATE_ROUNDING),
        .OVERFLOW(CANDIDATE_OVERFLOW)
    ) candidate_stage (
        .value(candidate_value),
        .raw(candidate_raw)
    );
    localparam WIDER = GATE_BITS > CANDIDATE_BITS ? GATE_BITS : CANDIDATE_BITS;
`ifdef FAULT_TABLES_SWAPPED
    wire by_candidate_table = gate != CANDIDATE_GATE;
`else
    wire by_candidate_table = gate == CANDIDATE_GATE;
`endif
    wire signed [WIDER:0] activated = by_candidate_table ? candidate_raw : gate_raw;
    reg signed [WIDER:0] gates[0:ROWS-1];
    wire signed [WIDER:0] input_gate = gates[unit];
    wire signed [WIDER:0] forget_gate = gates[UNITS+unit];
    wire signed [WIDER:0] candidate = gates[2*UNITS+unit];
    wire signed [WIDER:0] output_gate = gates[3*UNITS+unit];

    // The cell.
    reg signed [CELL_BITS:0] new_cell;
`ifdef FAULT_FORGET_READS_NEW_CELL
    reg made;
    wire signed [CELL_BITS:0] previous = made ? new_cell : fresh_cell ? initial_cell : cells[unit];
`else
    wire signed [CELL_BITS:0] previous = fresh_cell ? initial_cell : cells[unit];
`endif
    wire signed [WIDER+CELL_BITS+1:0] kept_exact = forget_gate * previous;
    wire signed [FORGET_PRODUCT_BITS:0] kept_raw;
    fixedsim_stage #(
        .VALUE_BITS(WIDER + CELL_BITS + 2),
        .BITS(FORGET_PRODUCT_BITS),
        .SHIFT(FORGET_PRODUCT_SHIFT),
        .ROUNDING(FORGET_PRODUCT_ROUNDING),
        .OVERFLOW(FORGET_PRODUCT_OVERFLOW)
    ) forget_product_stage (
        .value(kept_exact),
        .raw(kept_raw)
    );
    wire signed [2*WIDER+1:0] added_exact = input_gate * candidate;
    wire signed [INPUT_PRODUCT_BITS:0] added_raw;
    fixedsim_stage #(
        .VALUE_BITS(2 * WIDER + 2),
        .BITS(INPUT_PRODUCT_BITS),
        .SHIFT(INPUT_PRODUCT_SHIFT),
        .ROUNDING(INPUT_PRODUCT_ROUNDING),
        .OVERFLOW(INPUT_PRODUCT_OVERFLOW)
    ) input_product_stage (
        .value(added_exact),
        .raw(added_raw)
    );
    reg signed [FORGET_PRODUCT_BITS:0] kept;
    reg signed [INPUT_PRODUCT_BITS:0] added;
    localparam ADDENDS = (FORGET_PRODUCT_BITS > INPUT_PRODUCT_BITS ? FORGET_PRODUCT_BITS : INPUT_PRODUCT_BITS) + 2;
    wire signed [ADDENDS-1:0] cell_exact = kept + added;
    wire signed [CELL_BITS:0] cell_raw;
    fixedsim_stage #(
        .VALUE_BITS(ADDENDS),
        .BITS(CELL_BITS),
        .SHIFT(CELL_SHIFT),
        .ROUNDING(CELL_ROUNDING),
`ifdef FAULT_CELL_WRAPS
        .OVERFLOW(0)
`else
        .OVERFLOW(CELL_OVERFLOW)
`endif
    ) cell_stage (
        .value(cell_exact),
        .raw(cell_raw)
    );

    // The hidden state.
    wire signed [CELL_INPUT_BITS:0] cell_read;
    fixedsim_stage #(
        .VALUE_BITS(CELL_BITS + 1),
        .BITS(CELL_INPUT_BITS),
        .SHIFT(CELL_INPUT_SHIFT),
        .ROUNDING(CELL_INPUT_ROUNDING),
        .OVERFLOW(CELL_INPUT_OVERFLOW)
    ) cell_input_stage (
        .value(new_cell),
        .raw(cell_read)
    );
    reg signed [CELL_INPUT_BITS:0] cell_input;
    wire signed [CELL_TABLE_BITS:0] cell_value;
    fixedsim_table #(
        .INPUT_BITS(CELL_INPUT_BITS),
        .VALUES(CELL_TABLE_VALUES),
        .BITS(CELL_TABLE_BITS),
        .SIGNED(CELL_TABLE_SIGNED),
        .INDEX_SHIFT(CELL_TABLE_INDEX_SHIFT),
        .OFFSET(CELL_TABLE_OFFSET),
        .ROUNDING(CELL_TABLE_ROUNDING),
        .FILE(CELL_TABLE_FILE)
    ) cell_table (
        .raw(cell_input),
        .value(cell_value)
    );
`ifdef FAULT_ACTIVATION_SKIPPED
    wire signed [CELL_TABLE_BITS:0] cell_activated = cell_input;
`else
    wire signed [CELL_TABLE_BITS:0] cell_activated = cell_value;
`endif
    wire signed [CELL_OUTPUT_BITS:0] cell_activation_raw;
    fixedsim_stage #(
        .VALUE_BITS(CELL_TABLE_BITS + 1),
        .BITS(CELL_OUTPUT_BITS),
        .SIGNED(CELL_OUTPUT_SIGNED),
        .SHIFT(CELL_OUTPUT_SHIFT),
        .ROUNDING(CELL_OUTPUT_ROUNDING),
        .OVERFLOW(CELL_OUTPUT_OVERFLOW)
    ) cell_output_stage (
        .value(cell_activated),
        .raw(cell_activation_raw)
    );
    reg signed [CELL_OUTPUT_BITS:0] cell_activation;
`ifdef FAULT_HIDDEN_BY_INPUT_GATE
    wire signed [WIDER+CELL_OUTPUT_BITS+1:0] hidden_exact = input_gate * cell_activation;
`else
    wire signed [WIDER+CELL_OUTPUT_BITS+1:0] hidden_exact = output_gate * cell_activation;
`endif
    localparam signed [7:0] WIRED = HIDDEN_SHIFT;
    wire signed [HIDDEN_BITS:0] hidden_raw;
    fixedsim_cast #(
        .VALUE_BITS(WIDER + CELL_OUTPUT_BITS + 2),
        .MULTIPLIER_BITS(HIDDEN_MULTIPLIER_BITS),
        .LEFT(HIDDEN_SHIFT < 0 ? -HIDDEN_SHIFT : 0),
        .RIGHT(HIDDEN_SHIFT > 0 ? HIDDEN_SHIFT : 0),
        .BITS(HIDDEN_BITS),
        .LOW(HIDDEN_LOW),
        .HIGH(HIDDEN_HIGH),
        .STEP(HIDDEN_STEP),
        .ROUNDING(HIDDEN_ROUNDING),
        .OVERFLOW(HIDDEN_OVERFLOW)
    ) hidden_cast (
        .value(hidden_exact),
        .multiplier(HIDDEN_MULTIPLIER[HIDDEN_MULTIPLIER_BITS-1:0]),
        .shift(WIRED),
        .raw(hidden_raw)
    );

    assign out_valid = state == EMIT;
    fixedsim_code #(
        .BITS(HIDDEN_BITS),
        .LOW(HIDDEN_LOW),
        .STEP(HIDDEN_STEP)
    ) output_code (
        .raw(hiddens[unit]),
        .code(out_data)
    );
`ifdef FAULT_BACKPRESSURE_IGNORED
    wire given = 1'b1;
`else
    wire given = out_ready;
`endif

    wire signed [HIDDEN_BITS:0] loaded_hidden;
    fixedsim_raw #(
        .BITS(HIDDEN_BITS),
        .LOW(HIDDEN_LOW),
        .STEP(HIDDEN_STEP)
    ) load_raw (
        .code(load_data[HIDDEN_BITS-1:0]),
        .raw(loaded_hidden)
    );
    wire signed [CELL_BITS:0] loaded_cell = {load_data[CELL_BITS-1], load_data[CELL_BITS-1:0]};

    task trace(input [7:0] signal, input signed [63:0] data);
        begin
            trace_valid <= 1'b1;
            trace_signal <= signal;
            trace_unit <= unit;
            trace_data <= data;
        end
    endtask

    always @(posedge clk) begin
        trace_valid <= 1'b0;
        case (state)
            READ: begin
                if (taken) begin
                    if (column == 0 && in_clear) begin
`ifndef FAULT_HIDDEN_NOT_RESET
                        fresh_hidden <= 1'b1;
`endif
`ifndef FAULT_CELL_NOT_RESET
                        fresh_cell <= 1'b1;
`endif
                    end
                    column <= column == INPUTS - 1 ? 16'd0 : column + 16'd1;
                    if (column == INPUTS - 1) state <= START;
                end else if (load_valid && !load_select) begin
                    hiddens[load_address] <= loaded_hidden;
`ifdef FAULT_HIDDEN_STALE
                    stale[load_address] <= loaded_hidden;
`endif
                    fresh_hidden <= 1'b0;
                end else if (load_valid) begin
                    cells[load_address] <= loaded_cell;
                    fresh_cell <= 1'b0;
                end
            end
            START: state <= ADD;
            ADD: begin
                column <= column == LAST ? 16'd0 : column + 16'd1;
                if (column == LAST) state <= INPUT_ACCUMULATOR;
            end
            INPUT_ACCUMULATOR: begin
                trace(6 * gate, input_total);
                state <= RECURRENT_ACCUMULATOR;
            end
            RECURRENT_ACCUMULATOR: begin
                trace(6 * gate + 1, recurrent_total);
                state <= INPUT_SUM;
            end
            INPUT_SUM: begin
                trace(6 * gate + 2, input_scaled);
                input_sum <= input_scaled;
                state <= RECURRENT_SUM;
            end
            RECURRENT_SUM: begin
                trace(6 * gate + 3, recurrent_scaled);
                recurrent_sum <= recurrent_scaled;
                state <= PREACTIVATION;
            end
            PREACTIVATION: begin
                trace(6 * gate + 4, narrowed);
                preactivation <= narrowed;
                state <= GATE;
            end
            GATE: begin
                trace(6 * gate + 5, activated);
                gates[gate*UNITS+unit] <= activated;
                unit <= unit == UNITS - 1 ? 16'd0 : unit + 16'd1;
                if (unit == UNITS - 1) gate <= gate + 2'd1;
                state <= unit == UNITS - 1 && gate == 2'd3 ? FORGET_PRODUCT : START;
            end
            FORGET_PRODUCT: begin
                trace(24, kept_raw);
                kept <= kept_raw;
                state <= INPUT_PRODUCT;
            end
            INPUT_PRODUCT: begin
                trace(25, added_raw);
                added <= added_raw;
                state <= CELL;
            end
            CELL: begin
                trace(26, cell_raw);
                new_cell <= cell_raw;
                cells[unit] <= cell_raw;
                state <= CELL_INPUT;
            end
            CELL_INPUT: begin
                trace(27, cell_read);
                cell_input <= cell_read;
                state <= CELL_ACTIVATION;
            end
            CELL_ACTIVATION: begin
                trace(28, cell_activation_raw);
                cell_activation <= cell_activation_raw;
                state <= HIDDEN;
            end
            HIDDEN: begin
                trace(29, hidden_raw);
                hiddens[unit] <= hidden_raw;
`ifdef FAULT_HIDDEN_STALE
                stale[unit] <= fresh_hidden ? initial_hidden : hiddens[unit];
`endif
                state <= EMIT;
            end
            default:
            if (given) begin
                unit <= unit == UNITS - 1 ? 16'd0 : unit + 16'd1;
                if (unit == UNITS - 1) begin
                    fresh_hidden <= 1'b0;
                    fresh_cell <= 1'b0;
                end
                state <= unit == UNITS - 1 ? READ : FORGET_PRODUCT;
            end
        endcase
`ifdef FAULT_FORGET_READS_NEW_CELL
        made <= state == CELL ? 1'b1 : state == READ ? 1'b0 : made;
`endif
        if (reset) begin
            state <= READ;
            gate <= 0;
            unit <= 0;
            column <= 0;
            fresh_hidden <= 1'b1;
            fresh_cell <= 1'b1;
            trace_valid <= 1'b0;
        end
    end
endmodule
