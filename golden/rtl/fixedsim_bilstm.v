// A bidirectional LSTM: it takes a sequence, runs the forward direction over it, the backward direction over it from
// its last step on, and gives both outputs of each step, forward units first, in the order of the input.
//
// in_last stands on every beat of the last step, in_clear on the first beat of a sequence, where both directions then
// start from their initial states; on later steps in_clear is not read. load_direction 0 means the forward direction,
// 1 the backward one; states are loaded before the first beat of a sequence. trace_signal: the forward direction's as
// fixedsim_lstm numbers them, 30 on the backward direction's, 60 output. Backward traces come in its own order.
module fixedsim_bilstm #(
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
    parameter STEPS = 64,  // the longest sequence
    parameter GATE_TABLE_FILE = "gate_table.hex",
    parameter CANDIDATE_TABLE_FILE = "candidate_table.hex",
    parameter CELL_TABLE_FILE = "cell_table.hex",
    parameter FORWARD_INPUT_WEIGHT_FILE = "forward_input_weight.hex",
    parameter FORWARD_INPUT_PRODUCT_SHIFT_FILE = "forward_input_product_shift.hex",
    parameter FORWARD_INPUT_MULTIPLIER_FILE = "forward_input_multiplier.hex",
    parameter FORWARD_INPUT_SHIFT_FILE = "forward_input_shift.hex",
    parameter FORWARD_RECURRENT_WEIGHT_FILE = "forward_recurrent_weight.hex",
    parameter FORWARD_RECURRENT_PRODUCT_SHIFT_FILE = "forward_recurrent_product_shift.hex",
    parameter FORWARD_RECURRENT_MULTIPLIER_FILE = "forward_recurrent_multiplier.hex",
    parameter FORWARD_RECURRENT_SHIFT_FILE = "forward_recurrent_shift.hex",
    parameter FORWARD_BIAS_FILE = "forward_bias.hex",
    parameter FORWARD_BIAS_SHIFT_FILE = "forward_bias_shift.hex",
    parameter BACKWARD_INPUT_WEIGHT_FILE = "backward_input_weight.hex",
    parameter BACKWARD_INPUT_PRODUCT_SHIFT_FILE = "backward_input_product_shift.hex",
    parameter BACKWARD_INPUT_MULTIPLIER_FILE = "backward_input_multiplier.hex",
    parameter BACKWARD_INPUT_SHIFT_FILE = "backward_input_shift.hex",
    parameter BACKWARD_RECURRENT_WEIGHT_FILE = "backward_recurrent_weight.hex",
    parameter BACKWARD_RECURRENT_PRODUCT_SHIFT_FILE = "backward_recurrent_product_shift.hex",
    parameter BACKWARD_RECURRENT_MULTIPLIER_FILE = "backward_recurrent_multiplier.hex",
    parameter BACKWARD_RECURRENT_SHIFT_FILE = "backward_recurrent_shift.hex",
    parameter BACKWARD_BIAS_FILE = "backward_bias.hex",
    parameter BACKWARD_BIAS_SHIFT_FILE = "backward_bias_shift.hex"
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
    output trace_valid,
    output [7:0] trace_signal,
    output [15:0] trace_unit,
    output signed [63:0] trace_data
);
    localparam TAKE = 0, FORWARD = 1, BACKWARD = 2, EMIT = 3;
    localparam BACKWARD_SIGNALS = 30, OUTPUT_SIGNAL = 60;
    reg [1:0] phase;

    // The sequence, and the outputs of both directions, all as codes.
    reg [INPUT_BITS-1:0] inputs[0:STEPS*INPUTS-1];
    reg [HIDDEN_BITS-1:0] aheads[0:STEPS*UNITS-1];
    reg [HIDDEN_BITS-1:0] backs[0:STEPS*UNITS-1];
    reg [15:0] steps;   // taken of the sequence
    reg [15:0] step;    // of the direction's own order while one runs, else of the sequence
    reg [15:0] column;  // next input of the step that is taken or read
    reg [15:0] place;   // next output of the step that is written or given
    reg clear;          // of this sequence
    reg sent;           // all inputs of the direction's step are

    assign in_ready = phase == TAKE;
`ifdef FAULT_VALID_IGNORED
    wire taken = in_ready;
`else
    wire taken = in_valid && in_ready;
`endif

`ifdef FAULT_BACKWARD_UNREVERSED
    wire [15:0] read_step = step;
    wire [15:0] write_step = step;
`elsif FAULT_OUTPUT_UNREVERSED
    wire [15:0] read_step = phase == BACKWARD ? steps - 16'd1 - step : step;
    wire [15:0] write_step = step;
`else
    wire [15:0] read_step = phase == BACKWARD ? steps - 16'd1 - step : step;
    wire [15:0] write_step = read_step;
`endif
    wire [INPUT_BITS-1:0] read = inputs[read_step*INPUTS+column];
    wire runs = phase == FORWARD || phase == BACKWARD;
    wire ahead = phase == FORWARD;
    wire back = phase == BACKWARD;
    wire clear_step = clear && step == 0;

    wire ahead_ready, ahead_valid, ahead_trace;
    wire [HIDDEN_BITS-1:0] ahead_data;
    wire [7:0] ahead_signal;
    wire [15:0] ahead_unit;
    wire signed [63:0] ahead_raw;
    fixedsim_lstm #(
        .INPUTS(INPUTS),
        .UNITS(UNITS),
        .INPUT_BITS(INPUT_BITS),
        .INPUT_LOW(INPUT_LOW),
        .INPUT_STEP(INPUT_STEP),
        .INPUT_WEIGHT_BITS(INPUT_WEIGHT_BITS),
        .INPUT_WEIGHT_LOW(INPUT_WEIGHT_LOW),
        .INPUT_WEIGHT_STEP(INPUT_WEIGHT_STEP),
        .RECURRENT_WEIGHT_BITS(RECURRENT_WEIGHT_BITS),
        .RECURRENT_WEIGHT_LOW(RECURRENT_WEIGHT_LOW),
        .RECURRENT_WEIGHT_STEP(RECURRENT_WEIGHT_STEP),
        .PRODUCT_BITS(PRODUCT_BITS),
        .PRODUCT_LEFT(PRODUCT_LEFT),
        .PRODUCT_RIGHT(PRODUCT_RIGHT),
        .PRODUCT_ROUNDING(PRODUCT_ROUNDING),
        .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
        .ACCUMULATOR_OVERFLOW(ACCUMULATOR_OVERFLOW),
        .ACCUMULATOR_LEAST(ACCUMULATOR_LEAST),
        .BIAS_BITS(BIAS_BITS),
        .BIAS_LEFT(BIAS_LEFT),
        .MULTIPLIER_BITS(MULTIPLIER_BITS),
        .SUM_BITS(SUM_BITS),
        .SUM_LEFT(SUM_LEFT),
        .SUM_RIGHT(SUM_RIGHT),
        .SUM_ROUNDING(SUM_ROUNDING),
        .SUM_OVERFLOW(SUM_OVERFLOW),
        .PREACTIVATION_BITS(PREACTIVATION_BITS),
        .PREACTIVATION_SHIFT(PREACTIVATION_SHIFT),
        .PREACTIVATION_ROUNDING(PREACTIVATION_ROUNDING),
        .PREACTIVATION_OVERFLOW(PREACTIVATION_OVERFLOW),
        .GATE_TABLE_VALUES(GATE_TABLE_VALUES),
        .GATE_TABLE_BITS(GATE_TABLE_BITS),
        .GATE_TABLE_SIGNED(GATE_TABLE_SIGNED),
        .GATE_TABLE_INDEX_SHIFT(GATE_TABLE_INDEX_SHIFT),
        .GATE_TABLE_OFFSET(GATE_TABLE_OFFSET),
        .GATE_TABLE_ROUNDING(GATE_TABLE_ROUNDING),
        .GATE_BITS(GATE_BITS),
        .GATE_SIGNED(GATE_SIGNED),
        .GATE_SHIFT(GATE_SHIFT),
        .GATE_ROUNDING(GATE_ROUNDING),
        .GATE_OVERFLOW(GATE_OVERFLOW),
        .CANDIDATE_TABLE_VALUES(CANDIDATE_TABLE_VALUES),
        .CANDIDATE_TABLE_BITS(CANDIDATE_TABLE_BITS),
        .CANDIDATE_TABLE_SIGNED(CANDIDATE_TABLE_SIGNED),
        .CANDIDATE_TABLE_INDEX_SHIFT(CANDIDATE_TABLE_INDEX_SHIFT),
        .CANDIDATE_TABLE_OFFSET(CANDIDATE_TABLE_OFFSET),
        .CANDIDATE_TABLE_ROUNDING(CANDIDATE_TABLE_ROUNDING),
        .CANDIDATE_BITS(CANDIDATE_BITS),
        .CANDIDATE_SIGNED(CANDIDATE_SIGNED),
        .CANDIDATE_SHIFT(CANDIDATE_SHIFT),
        .CANDIDATE_ROUNDING(CANDIDATE_ROUNDING),
        .CANDIDATE_OVERFLOW(CANDIDATE_OVERFLOW),
        .FORGET_PRODUCT_BITS(FORGET_PRODUCT_BITS),
        .FORGET_PRODUCT_SHIFT(FORGET_PRODUCT_SHIFT),
        .FORGET_PRODUCT_ROUNDING(FORGET_PRODUCT_ROUNDING),
        .FORGET_PRODUCT_OVERFLOW(FORGET_PRODUCT_OVERFLOW),
        .INPUT_PRODUCT_BITS(INPUT_PRODUCT_BITS),
        .INPUT_PRODUCT_SHIFT(INPUT_PRODUCT_SHIFT),
        .INPUT_PRODUCT_ROUNDING(INPUT_PRODUCT_ROUNDING),
        .INPUT_PRODUCT_OVERFLOW(INPUT_PRODUCT_OVERFLOW),
        .CELL_BITS(CELL_BITS),
        .CELL_SHIFT(CELL_SHIFT),
        .CELL_ROUNDING(CELL_ROUNDING),
        .CELL_OVERFLOW(CELL_OVERFLOW),
        .CELL_INPUT_BITS(CELL_INPUT_BITS),
        .CELL_INPUT_SHIFT(CELL_INPUT_SHIFT),
        .CELL_INPUT_ROUNDING(CELL_INPUT_ROUNDING),
        .CELL_INPUT_OVERFLOW(CELL_INPUT_OVERFLOW),
        .CELL_TABLE_VALUES(CELL_TABLE_VALUES),
        .CELL_TABLE_BITS(CELL_TABLE_BITS),
        .CELL_TABLE_SIGNED(CELL_TABLE_SIGNED),
        .CELL_TABLE_INDEX_SHIFT(CELL_TABLE_INDEX_SHIFT),
        .CELL_TABLE_OFFSET(CELL_TABLE_OFFSET),
        .CELL_TABLE_ROUNDING(CELL_TABLE_ROUNDING),
        .CELL_OUTPUT_BITS(CELL_OUTPUT_BITS),
        .CELL_OUTPUT_SIGNED(CELL_OUTPUT_SIGNED),
        .CELL_OUTPUT_SHIFT(CELL_OUTPUT_SHIFT),
        .CELL_OUTPUT_ROUNDING(CELL_OUTPUT_ROUNDING),
        .CELL_OUTPUT_OVERFLOW(CELL_OUTPUT_OVERFLOW),
        .HIDDEN_BITS(HIDDEN_BITS),
        .HIDDEN_LOW(HIDDEN_LOW),
        .HIDDEN_HIGH(HIDDEN_HIGH),
        .HIDDEN_STEP(HIDDEN_STEP),
        .HIDDEN_SHIFT(HIDDEN_SHIFT),
        .HIDDEN_MULTIPLIER_BITS(HIDDEN_MULTIPLIER_BITS),
        .HIDDEN_MULTIPLIER(HIDDEN_MULTIPLIER),
        .HIDDEN_ROUNDING(HIDDEN_ROUNDING),
        .HIDDEN_OVERFLOW(HIDDEN_OVERFLOW),
        .INITIAL_HIDDEN(INITIAL_HIDDEN),
        .INITIAL_CELL(INITIAL_CELL),
        .LOAD_BITS(LOAD_BITS),
        .GATE_TABLE_FILE(GATE_TABLE_FILE),
        .CANDIDATE_TABLE_FILE(CANDIDATE_TABLE_FILE),
        .CELL_TABLE_FILE(CELL_TABLE_FILE),
        .INPUT_WEIGHT_FILE(FORWARD_INPUT_WEIGHT_FILE),
        .INPUT_PRODUCT_SHIFT_FILE(FORWARD_INPUT_PRODUCT_SHIFT_FILE),
        .INPUT_MULTIPLIER_FILE(FORWARD_INPUT_MULTIPLIER_FILE),
        .INPUT_SHIFT_FILE(FORWARD_INPUT_SHIFT_FILE),
        .RECURRENT_WEIGHT_FILE(FORWARD_RECURRENT_WEIGHT_FILE),
        .RECURRENT_PRODUCT_SHIFT_FILE(FORWARD_RECURRENT_PRODUCT_SHIFT_FILE),
        .RECURRENT_MULTIPLIER_FILE(FORWARD_RECURRENT_MULTIPLIER_FILE),
        .RECURRENT_SHIFT_FILE(FORWARD_RECURRENT_SHIFT_FILE),
        .BIAS_FILE(FORWARD_BIAS_FILE),
        .BIAS_SHIFT_FILE(FORWARD_BIAS_SHIFT_FILE)
    ) forward (
        .clk(clk),
        .reset(reset),
        .in_valid(ahead && !sent),
        .in_ready(ahead_ready),
        .in_data(read),
        .in_clear(clear_step),
        .in_last(1'b0),
        .out_valid(ahead_valid),
        .out_ready(ahead),
        .out_data(ahead_data),
        .load_valid(load_valid && !load_direction && phase == TAKE),
        .load_direction(1'b0),
        .load_select(load_select),
        .load_address(load_address),
        .load_data(load_data),
        .trace_valid(ahead_trace),
        .trace_signal(ahead_signal),
        .trace_unit(ahead_unit),
        .trace_data(ahead_raw)
    );

    wire back_ready, back_valid, back_trace;
    wire [HIDDEN_BITS-1:0] back_data;
    wire [7:0] back_signal;
    wire [15:0] back_unit;
    wire signed [63:0] back_raw;
    fixedsim_lstm #(
        .INPUTS(INPUTS),
        .UNITS(UNITS),
        .INPUT_BITS(INPUT_BITS),
        .INPUT_LOW(INPUT_LOW),
        .INPUT_STEP(INPUT_STEP),
        .INPUT_WEIGHT_BITS(INPUT_WEIGHT_BITS),
        .INPUT_WEIGHT_LOW(INPUT_WEIGHT_LOW),
        .INPUT_WEIGHT_STEP(INPUT_WEIGHT_STEP),
        .RECURRENT_WEIGHT_BITS(RECURRENT_WEIGHT_BITS),
        .RECURRENT_WEIGHT_LOW(RECURRENT_WEIGHT_LOW),
        .RECURRENT_WEIGHT_STEP(RECURRENT_WEIGHT_STEP),
        .PRODUCT_BITS(PRODUCT_BITS),
        .PRODUCT_LEFT(PRODUCT_LEFT),
        .PRODUCT_RIGHT(PRODUCT_RIGHT),
        .PRODUCT_ROUNDING(PRODUCT_ROUNDING),
        .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
        .ACCUMULATOR_OVERFLOW(ACCUMULATOR_OVERFLOW),
        .ACCUMULATOR_LEAST(ACCUMULATOR_LEAST),
        .BIAS_BITS(BIAS_BITS),
        .BIAS_LEFT(BIAS_LEFT),
        .MULTIPLIER_BITS(MULTIPLIER_BITS),
        .SUM_BITS(SUM_BITS),
        .SUM_LEFT(SUM_LEFT),
        .SUM_RIGHT(SUM_RIGHT),
        .SUM_ROUNDING(SUM_ROUNDING),
        .SUM_OVERFLOW(SUM_OVERFLOW),
        .PREACTIVATION_BITS(PREACTIVATION_BITS),
        .PREACTIVATION_SHIFT(PREACTIVATION_SHIFT),
        .PREACTIVATION_ROUNDING(PREACTIVATION_ROUNDING),
        .PREACTIVATION_OVERFLOW(PREACTIVATION_OVERFLOW),
        .GATE_TABLE_VALUES(GATE_TABLE_VALUES),
        .GATE_TABLE_BITS(GATE_TABLE_BITS),
        .GATE_TABLE_SIGNED(GATE_TABLE_SIGNED),
        .GATE_TABLE_INDEX_SHIFT(GATE_TABLE_INDEX_SHIFT),
        .GATE_TABLE_OFFSET(GATE_TABLE_OFFSET),
        .GATE_TABLE_ROUNDING(GATE_TABLE_ROUNDING),
        .GATE_BITS(GATE_BITS),
        .GATE_SIGNED(GATE_SIGNED),
        .GATE_SHIFT(GATE_SHIFT),
        .GATE_ROUNDING(GATE_ROUNDING),
        .GATE_OVERFLOW(GATE_OVERFLOW),
        .CANDIDATE_TABLE_VALUES(CANDIDATE_TABLE_VALUES),
        .CANDIDATE_TABLE_BITS(CANDIDATE_TABLE_BITS),
        .CANDIDATE_TABLE_SIGNED(CANDIDATE_TABLE_SIGNED),
        .CANDIDATE_TABLE_INDEX_SHIFT(CANDIDATE_TABLE_INDEX_SHIFT),
        .CANDIDATE_TABLE_OFFSET(CANDIDATE_TABLE_OFFSET),
        .CANDIDATE_TABLE_ROUNDING(CANDIDATE_TABLE_ROUNDING),
        .CANDIDATE_BITS(CANDIDATE_BITS),
        .CANDIDATE_SIGNED(CANDIDATE_SIGNED),
        .CANDIDATE_SHIFT(CANDIDATE_SHIFT),
        .CANDIDATE_ROUNDING(CANDIDATE_ROUNDING),
        .CANDIDATE_OVERFLOW(CANDIDATE_OVERFLOW),
        .FORGET_PRODUCT_BITS(FORGET_PRODUCT_BITS),
        .FORGET_PRODUCT_SHIFT(FORGET_PRODUCT_SHIFT),
        .FORGET_PRODUCT_ROUNDING(FORGET_PRODUCT_ROUNDING),
        .FORGET_PRODUCT_OVERFLOW(FORGET_PRODUCT_OVERFLOW),
        .INPUT_PRODUCT_BITS(INPUT_PRODUCT_BITS),
        .INPUT_PRODUCT_SHIFT(INPUT_PRODUCT_SHIFT),
        .INPUT_PRODUCT_ROUNDING(INPUT_PRODUCT_ROUNDING),
        .INPUT_PRODUCT_OVERFLOW(INPUT_PRODUCT_OVERFLOW),
        .CELL_BITS(CELL_BITS),
        .CELL_SHIFT(CELL_SHIFT),
        .CELL_ROUNDING(CELL_ROUNDING),
        .CELL_OVERFLOW(CELL_OVERFLOW),
        .CELL_INPUT_BITS(CELL_INPUT_BITS),
        .CELL_INPUT_SHIFT(CELL_INPUT_SHIFT),
        .CELL_INPUT_ROUNDING(CELL_INPUT_ROUNDING),
        .CELL_INPUT_OVERFLOW(CELL_INPUT_OVERFLOW),
        .CELL_TABLE_VALUES(CELL_TABLE_VALUES),
        .CELL_TABLE_BITS(CELL_TABLE_BITS),
        .CELL_TABLE_SIGNED(CELL_TABLE_SIGNED),
        .CELL_TABLE_INDEX_SHIFT(CELL_TABLE_INDEX_SHIFT),
        .CELL_TABLE_OFFSET(CELL_TABLE_OFFSET),
        .CELL_TABLE_ROUNDING(CELL_TABLE_ROUNDING),
        .CELL_OUTPUT_BITS(CELL_OUTPUT_BITS),
        .CELL_OUTPUT_SIGNED(CELL_OUTPUT_SIGNED),
        .CELL_OUTPUT_SHIFT(CELL_OUTPUT_SHIFT),
        .CELL_OUTPUT_ROUNDING(CELL_OUTPUT_ROUNDING),
        .CELL_OUTPUT_OVERFLOW(CELL_OUTPUT_OVERFLOW),
        .HIDDEN_BITS(HIDDEN_BITS),
        .HIDDEN_LOW(HIDDEN_LOW),
        .HIDDEN_HIGH(HIDDEN_HIGH),
        .HIDDEN_STEP(HIDDEN_STEP),
        .HIDDEN_SHIFT(HIDDEN_SHIFT),
        .HIDDEN_MULTIPLIER_BITS(HIDDEN_MULTIPLIER_BITS),
        .HIDDEN_MULTIPLIER(HIDDEN_MULTIPLIER),
        .HIDDEN_ROUNDING(HIDDEN_ROUNDING),
        .HIDDEN_OVERFLOW(HIDDEN_OVERFLOW),
        .INITIAL_HIDDEN(INITIAL_HIDDEN),
        .INITIAL_CELL(INITIAL_CELL),
        .LOAD_BITS(LOAD_BITS),
        .GATE_TABLE_FILE(GATE_TABLE_FILE),
        .CANDIDATE_TABLE_FILE(CANDIDATE_TABLE_FILE),
        .CELL_TABLE_FILE(CELL_TABLE_FILE),
        .INPUT_WEIGHT_FILE(BACKWARD_INPUT_WEIGHT_FILE),
        .INPUT_PRODUCT_SHIFT_FILE(BACKWARD_INPUT_PRODUCT_SHIFT_FILE),
        .INPUT_MULTIPLIER_FILE(BACKWARD_INPUT_MULTIPLIER_FILE),
        .INPUT_SHIFT_FILE(BACKWARD_INPUT_SHIFT_FILE),
        .RECURRENT_WEIGHT_FILE(BACKWARD_RECURRENT_WEIGHT_FILE),
        .RECURRENT_PRODUCT_SHIFT_FILE(BACKWARD_RECURRENT_PRODUCT_SHIFT_FILE),
        .RECURRENT_MULTIPLIER_FILE(BACKWARD_RECURRENT_MULTIPLIER_FILE),
        .RECURRENT_SHIFT_FILE(BACKWARD_RECURRENT_SHIFT_FILE),
        .BIAS_FILE(BACKWARD_BIAS_FILE),
        .BIAS_SHIFT_FILE(BACKWARD_BIAS_SHIFT_FILE)
    ) backward (
        .clk(clk),
        .reset(reset),
        .in_valid(back && !sent),
        .in_ready(back_ready),
        .in_data(read),
        .in_clear(clear_step),
        .in_last(1'b0),
        .out_valid(back_valid),
        .out_ready(back),
        .out_data(back_data),
        .load_valid(load_valid && load_direction && phase == TAKE),
        .load_direction(1'b0),
        .load_select(load_select),
        .load_address(load_address),
        .load_data(load_data),
        .trace_valid(back_trace),
        .trace_signal(back_signal),
        .trace_unit(back_unit),
        .trace_data(back_raw)
    );

    always @(posedge clk) begin
        if (taken) inputs[step*INPUTS+column] <= in_data;
        if (ahead && ahead_valid) aheads[write_step*UNITS+place] <= ahead_data;
        if (back && back_valid) backs[write_step*UNITS+place] <= back_data;
    end

    // The output: UNITS of the forward direction, then UNITS of the backward one.
    wire first_half = place < UNITS;
    wire [15:0] half_place = first_half ? place : place - UNITS;
    wire [HIDDEN_BITS-1:0] ahead_code = aheads[step*UNITS+half_place];
    wire [HIDDEN_BITS-1:0] back_code = backs[step*UNITS+half_place];
    assign out_valid = phase == EMIT;
`ifdef FAULT_DIRECTIONS_SWAPPED
    assign out_data = first_half ? back_code : ahead_code;
`else
    assign out_data = first_half ? ahead_code : back_code;
`endif
    wire signed [HIDDEN_BITS:0] out_raw;
    fixedsim_raw #(
        .BITS(HIDDEN_BITS),
        .LOW(HIDDEN_LOW),
        .STEP(HIDDEN_STEP)
    ) output_raw (
        .code(out_data),
        .raw(out_raw)
    );
`ifdef FAULT_BACKPRESSURE_IGNORED
    wire given = out_valid;
`else
    wire given = out_valid && out_ready;
`endif

    // Only one of the three makes values at a time.
    assign trace_valid = ahead_trace || back_trace || given;
    assign trace_signal = ahead_trace ? ahead_signal : back_trace ? BACKWARD_SIGNALS + back_signal : OUTPUT_SIGNAL;
    assign trace_unit = ahead_trace ? ahead_unit : back_trace ? back_unit : place;
    assign trace_data = ahead_trace ? ahead_raw : back_trace ? back_raw : out_raw;

    wire read_taken = ahead ? ahead_ready && !sent : back_ready && !sent;
    wire written = ahead ? ahead_valid : back_valid;
    wire last_input = column == INPUTS - 1;
    wire last_place = place == (phase == EMIT ? 2 * UNITS - 1 : UNITS - 1);
    wire last_step = step == steps - 16'd1;

    always @(posedge clk) begin
        if (taken) begin
            if (step == 0 && column == 0) clear <= in_clear;
            column <= last_input ? 16'd0 : column + 16'd1;
            if (last_input) step <= in_last ? 16'd0 : step + 16'd1;
            if (last_input) steps <= step + 16'd1;
            if (last_input && in_last) phase <= FORWARD;
        end
        if (runs && read_taken) begin
            column <= last_input ? 16'd0 : column + 16'd1;
            sent <= last_input;
        end
        if (runs && written || given) begin
            place <= last_place ? 16'd0 : place + 16'd1;
            if (last_place) begin
                sent <= 1'b0;
                step <= last_step ? 16'd0 : step + 16'd1;
                if (last_step) phase <= phase + 2'd1;
            end
        end
        if (reset) begin
            phase <= TAKE;
            step <= 0;
            column <= 0;
            place <= 0;
            sent <= 1'b0;
        end
    end
endmodule
