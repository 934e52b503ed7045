// A fully connected layer: output <- narrow(activation(narrow(narrow(bias + weight * input)))), row after row.
//
// Ports carry codes, a value a beat; traces are raws. trace_signal: 0 accumulator, 1 sum, 2 preactivation, 3 output.
// ACTIVATION: 0 a clamp to CLAMP_LOW .. CLAMP_HIGH (identity, ReLU, clipped ReLU), 1 the table. A layer without state
// reads neither in_clear, in_last nor the load port.
module fixedsim_linear #(
    parameter INPUTS = 1,
    parameter OUTPUTS = 1,
    parameter INPUT_BITS = 8,
    parameter signed [64:0] INPUT_LOW = -128,
    parameter INPUT_STEP = 1,
    parameter WEIGHT_BITS = 8,
    parameter signed [64:0] WEIGHT_LOW = -128,
    parameter WEIGHT_STEP = 1,
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
    parameter SUM_BITS = 16,
    parameter SUM_LEFT = 0,
    parameter SUM_RIGHT = 0,
    parameter SUM_ROUNDING = 2,
    parameter SUM_OVERFLOW = 1,
    parameter PREACTIVATION_BITS = 16,
    parameter PREACTIVATION_SHIFT = 0,
    parameter PREACTIVATION_ROUNDING = 0,
    parameter PREACTIVATION_OVERFLOW = 1,
    parameter ACTIVATION = 0,
    parameter signed [64:0] CLAMP_LOW = -32768,
    parameter signed [64:0] CLAMP_HIGH = 32767,
    parameter TABLE_VALUES = 1025,
    parameter TABLE_BITS = 16,
    parameter TABLE_SIGNED = 1,
    parameter TABLE_INDEX_SHIFT = 6,
    parameter signed [63:0] TABLE_OFFSET = 512,
    parameter TABLE_ROUNDING = 2,
    parameter OUTPUT_BITS = 8,
    parameter signed [64:0] OUTPUT_LOW = -128,
    parameter signed [64:0] OUTPUT_HIGH = 127,
    parameter OUTPUT_STEP = 1,
    parameter OUTPUT_SHIFT = 0,
    parameter OUTPUT_MULTIPLIER_BITS = 1,
    parameter [31:0] OUTPUT_MULTIPLIER = 1,
    parameter OUTPUT_ROUNDING = 0,
    parameter OUTPUT_OVERFLOW = 1,
    parameter WEIGHT_FILE = "weight.hex",
    parameter PRODUCT_SHIFT_FILE = "product_shift.hex",
    parameter MULTIPLIER_FILE = "multiplier.hex",
    parameter SHIFT_FILE = "shift.hex",
    parameter BIAS_FILE = "bias.hex",
    parameter BIAS_SHIFT_FILE = "bias_shift.hex",
    parameter TABLE_FILE = "table.hex"
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
    output [OUTPUT_BITS-1:0] out_data,
    input load_valid,
    input load_direction,
    input load_select,
    input [15:0] load_address,
    input [0:0] load_data,
    output reg trace_valid,
    output reg [7:0] trace_signal,
    output reg [15:0] trace_unit,
    output reg signed [63:0] trace_data
);
    wire unused = &{1'b0, in_clear, in_last, load_valid, load_direction, load_select, load_address, load_data};

    localparam READ = 0, START = 1, ADD = 2, ACCUMULATOR = 3, SUM = 4, PREACTIVATION = 5, OUTPUT = 6, EMIT = 7;
    reg [2:0] state;
    reg [15:0] row, column;

    // The input vector, as codes.
    reg [INPUT_BITS-1:0] vector[0:INPUTS-1];
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
    wire signed [INPUT_BITS:0] operand;
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
        .raw(operand)
    );

    // The accumulator of one row, and the sum.
    reg signed [BIAS_BITS-1:0] biases[0:OUTPUTS-1];
    reg [5:0] bias_shifts[0:OUTPUTS-1];
    initial begin
        $readmemh(BIAS_FILE, biases);
        $readmemh(BIAS_SHIFT_FILE, bias_shifts);
    end
    localparam FIRST_BITS = BIAS_BITS + BIAS_LEFT + 1;
    wire signed [FIRST_BITS-1:0] bias = biases[row];
`ifdef FAULT_BIAS_MISSING
    wire signed [FIRST_BITS-1:0] first = 0;
`elsif FAULT_BIAS_TWICE
    wire signed [FIRST_BITS-1:0] first = (bias <<< bias_shifts[row]) <<< 1;
`else
    wire signed [FIRST_BITS-1:0] first = bias <<< bias_shifts[row];
`endif

    wire signed [ACCUMULATOR_BITS:0] total;
    wire signed [SUM_BITS:0] scaled;
    fixedsim_matrix #(
        .ROWS(OUTPUTS),
        .COLUMNS(INPUTS),
        .WEIGHT_BITS(WEIGHT_BITS),
        .WEIGHT_LOW(WEIGHT_LOW),
        .WEIGHT_STEP(WEIGHT_STEP),
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
        .WEIGHT_FILE(WEIGHT_FILE),
        .PRODUCT_SHIFT_FILE(PRODUCT_SHIFT_FILE),
        .MULTIPLIER_FILE(MULTIPLIER_FILE),
        .SHIFT_FILE(SHIFT_FILE)
    ) matrix (
        .clk(clk),
        .start(state == START),
        .add(state == ADD),
        .row(row),
        .column(column),
        .first(first),
        .operand(operand),
        .total(total),
        .sum(scaled)
    );

    // The stages behind it, each registered where it is traced.
    reg signed [SUM_BITS:0] sum;
    wire signed [PREACTIVATION_BITS:0] narrowed;
    fixedsim_stage #(
        .VALUE_BITS(SUM_BITS + 1),
        .BITS(PREACTIVATION_BITS),
        .SHIFT(PREACTIVATION_SHIFT),
        .ROUNDING(PREACTIVATION_ROUNDING),
        .OVERFLOW(PREACTIVATION_OVERFLOW)
    ) preactivation_stage (
        .value(sum),
        .raw(narrowed)
    );

    reg signed [PREACTIVATION_BITS:0] preactivation;
    localparam WIDER = PREACTIVATION_BITS > TABLE_BITS ? PREACTIVATION_BITS : TABLE_BITS;
    wire signed [WIDER:0] activated;
    generate
        if (ACTIVATION == 1) begin : by_table
            wire signed [TABLE_BITS:0] value;
            fixedsim_table #(
                .INPUT_BITS(PREACTIVATION_BITS),
                .VALUES(TABLE_VALUES),
                .BITS(TABLE_BITS),
                .SIGNED(TABLE_SIGNED),
                .INDEX_SHIFT(TABLE_INDEX_SHIFT),
                .OFFSET(TABLE_OFFSET),
                .ROUNDING(TABLE_ROUNDING),
                .FILE(TABLE_FILE)
            ) activation_table (
                .raw(preactivation),
                .value(value)
            );
`ifdef FAULT_ACTIVATION_SKIPPED
            assign activated = preactivation;
`else
            assign activated = value;
`endif
        end else begin : by_clamp
`ifdef FAULT_RELU_MISSING
            wire below = 1'b0;
`else
            wire below = preactivation < CLAMP_LOW;
`endif
`ifdef FAULT_CLIP_MISSING
            wire beyond = 1'b0;
`else
            wire beyond = preactivation > CLAMP_HIGH;
`endif
`ifdef FAULT_ACTIVATION_SKIPPED
            assign activated = preactivation;
`else
            assign activated = below ? CLAMP_LOW : beyond ? CLAMP_HIGH : preactivation;
`endif
        end
    endgenerate

    localparam signed [7:0] WIRED = OUTPUT_SHIFT;
    wire signed [OUTPUT_BITS:0] result;
    fixedsim_cast #(
        .VALUE_BITS(WIDER + 1),
        .MULTIPLIER_BITS(OUTPUT_MULTIPLIER_BITS),
        .LEFT(OUTPUT_SHIFT < 0 ? -OUTPUT_SHIFT : 0),
        .RIGHT(OUTPUT_SHIFT > 0 ? OUTPUT_SHIFT : 0),
        .BITS(OUTPUT_BITS),
        .LOW(OUTPUT_LOW),
        .HIGH(OUTPUT_HIGH),
        .STEP(OUTPUT_STEP),
        .ROUNDING(OUTPUT_ROUNDING),
        .OVERFLOW(OUTPUT_OVERFLOW)
    ) output_cast (
        .value(activated),
        .multiplier(OUTPUT_MULTIPLIER[OUTPUT_MULTIPLIER_BITS-1:0]),
        .shift(WIRED),
        .raw(result)
    );

    reg signed [OUTPUT_BITS:0] held;
    assign out_valid = state == EMIT;
    fixedsim_code #(.BITS(OUTPUT_BITS), .LOW(OUTPUT_LOW), .STEP(OUTPUT_STEP)) output_code (.raw(held), .code(out_data));
`ifdef FAULT_BACKPRESSURE_IGNORED
    wire given = 1'b1;
`else
    wire given = out_ready;
`endif

    task trace(input [7:0] signal, input signed [63:0] data);
        begin
            trace_valid <= 1'b1;
            trace_signal <= signal;
            trace_unit <= row;
            trace_data <= data;
        end
    endtask

`ifdef FAULT_LAST_INPUT_SKIPPED
    localparam LAST = INPUTS > 1 ? INPUTS - 2 : 0;
`else
    localparam LAST = INPUTS - 1;
`endif

    always @(posedge clk) begin
        trace_valid <= 1'b0;
        case (state)
            READ:
            if (taken) begin
                column <= column == INPUTS - 1 ? 16'd0 : column + 16'd1;
                if (column == INPUTS - 1) state <= START;
            end
            START: state <= ADD;
            ADD: begin
                column <= column == LAST ? 16'd0 : column + 16'd1;
                if (column == LAST) state <= ACCUMULATOR;
            end
            ACCUMULATOR: begin
                trace(0, total);
                state <= SUM;
            end
            SUM: begin
                trace(1, scaled);
                sum <= scaled;
                state <= PREACTIVATION;
            end
            PREACTIVATION: begin
                trace(2, narrowed);
                preactivation <= narrowed;
                state <= OUTPUT;
            end
            OUTPUT: begin
                trace(3, result);
                held <= result;
                state <= EMIT;
            end
            default:
            if (given) begin
                row <= row == OUTPUTS - 1 ? 16'd0 : row + 16'd1;
                state <= row == OUTPUTS - 1 ? READ : START;
            end
        endcase
        if (reset) begin
            state <= READ;
            row <= 0;
            column <= 0;
            trace_valid <= 1'b0;
        end
    end
endmodule
