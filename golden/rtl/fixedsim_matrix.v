// One row of weights times a vector, a product a clock, and what the sum is requantized to.
//
// `start` loads `first` through the accumulator's overflow; each `add` adds weight[row][column] * operand, narrowed by
// the row's product shift. `sum` is the total times the row's multiplier over 2**shift of the row.
module fixedsim_matrix #(
    parameter ROWS = 1,
    parameter COLUMNS = 1,
    parameter WEIGHT_BITS = 8,
    parameter signed [64:0] WEIGHT_LOW = -128,
    parameter WEIGHT_STEP = 1,
    parameter OPERAND_BITS = 8,
    parameter FIRST_BITS = 32,
    parameter PRODUCT_BITS = 62,
    parameter PRODUCT_LEFT = 0,
    parameter PRODUCT_RIGHT = 0,
    parameter PRODUCT_ROUNDING = 0,
    parameter PRODUCT_OVERFLOW = 1,
    parameter ACCUMULATOR_BITS = 48,
    parameter ACCUMULATOR_OVERFLOW = 1,
    parameter ACCUMULATOR_LEAST = 48,  // the narrowest that no inputs overflow, only for FAULT_ACCUMULATOR_SHORT
    parameter MULTIPLIER_BITS = 1,
    parameter SUM_BITS = 24,
    parameter SUM_LEFT = 0,
    parameter SUM_RIGHT = 0,
    parameter SUM_ROUNDING = 2,
    parameter SUM_OVERFLOW = 1,
    parameter WEIGHT_FILE = "weight.hex",
    parameter PRODUCT_SHIFT_FILE = "product_shift.hex",
    parameter MULTIPLIER_FILE = "multiplier.hex",
    parameter SHIFT_FILE = "shift.hex"
) (
    input clk,
    input start,
    input add,
    input [15:0] row,
    input [15:0] column,
    input signed [FIRST_BITS-1:0] first,
    input signed [OPERAND_BITS:0] operand,
    output reg signed [ACCUMULATOR_BITS:0] total,
    output signed [SUM_BITS:0] sum
);
    reg [WEIGHT_BITS-1:0] weights[0:ROWS*COLUMNS-1];
    reg signed [7:0] product_shifts[0:ROWS-1];
    reg [MULTIPLIER_BITS-1:0] multipliers[0:ROWS-1];
    reg signed [7:0] shifts[0:ROWS-1];
    initial begin
        $readmemh(WEIGHT_FILE, weights);
        $readmemh(PRODUCT_SHIFT_FILE, product_shifts);
        $readmemh(MULTIPLIER_FILE, multipliers);
        $readmemh(SHIFT_FILE, shifts);
    end

`ifdef FAULT_WEIGHT_TRANSPOSED
    wire [31:0] address = column * ROWS + row;
`else
    wire [31:0] address = row * COLUMNS + column;
`endif
    wire signed [WEIGHT_BITS:0] stored;
    fixedsim_raw #(
        .BITS(WEIGHT_BITS),
        .LOW(WEIGHT_LOW),
        .STEP(WEIGHT_STEP)
    ) weight_raw (
        .code(weights[address]),
        .raw(stored)
    );
`ifdef FAULT_WEIGHT_SIGN_LOST
    wire signed [WEIGHT_BITS:0] weight = stored < 0 ? -stored : stored;
`else
    wire signed [WEIGHT_BITS:0] weight = stored;
`endif

    localparam EXACT = WEIGHT_BITS + OPERAND_BITS + 2;
    wire signed [EXACT-1:0] exact = weight * operand;
    wire signed [PRODUCT_BITS:0] product;
    fixedsim_cast #(
        .VALUE_BITS(EXACT),
        .LEFT(PRODUCT_LEFT),
        .RIGHT(PRODUCT_RIGHT),
        .BITS(PRODUCT_BITS),
        .LOW(-(65'sd1 << (PRODUCT_BITS - 1))),
        .HIGH((65'sd1 << (PRODUCT_BITS - 1)) - 65'sd1),
        .ROUNDING(PRODUCT_ROUNDING),
        .OVERFLOW(PRODUCT_OVERFLOW)
    ) product_cast (
        .value(exact),
        .multiplier(1'b1),
`ifdef FAULT_PRODUCT_SHIFT_IGNORED
        .shift(8'sd0),
`else
        .shift(product_shifts[row]),
`endif
        .raw(product)
    );

`ifdef FAULT_ACCUMULATOR_SHORT
    localparam HELD = ACCUMULATOR_LEAST - 1;
`else
    localparam HELD = ACCUMULATOR_BITS;
`endif
    localparam WIDER = ACCUMULATOR_BITS > PRODUCT_BITS ? ACCUMULATOR_BITS : PRODUCT_BITS;
    localparam ADDED = (WIDER + 2 > FIRST_BITS ? WIDER + 2 : FIRST_BITS) + 1;
    wire signed [ADDED-1:0] added = total + product;
`ifdef FAULT_ACCUMULATOR_NOT_CLEARED
    reg began = 1'b0;
    always @(posedge clk) if (start) began <= 1'b1;
    wire signed [ADDED-1:0] loaded = began ? total + first : first;
`else
    wire signed [ADDED-1:0] loaded = first;
`endif
    wire signed [HELD:0] limited;
    fixedsim_stage #(
        .VALUE_BITS(ADDED),
        .BITS(HELD),
        .OVERFLOW(ACCUMULATOR_OVERFLOW)
    ) limit (
        .value(start ? loaded : added),
        .raw(limited)
    );
    always @(posedge clk) if (start || add) total <= limited;

`ifdef FAULT_ROW_CONSTANTS_STUCK
    wire [15:0] constants = 0;
`else
    wire [15:0] constants = row;
`endif
`ifdef FAULT_MULTIPLIER_ONE_OFF
    wire [MULTIPLIER_BITS:0] multiplier = multipliers[constants] + 1'b1;
`else
    wire [MULTIPLIER_BITS:0] multiplier = multipliers[constants];
`endif
`ifdef FAULT_SHIFT_ONE_OFF
    wire signed [7:0] shift = shifts[constants] + 8'sd1;
`else
    wire signed [7:0] shift = shifts[constants];
`endif
    fixedsim_cast #(
        .VALUE_BITS(ACCUMULATOR_BITS + 1),
        .MULTIPLIER_BITS(MULTIPLIER_BITS + 1),
        .LEFT(SUM_LEFT),
        .RIGHT(SUM_RIGHT + 1),
        .BITS(SUM_BITS),
        .LOW(-(65'sd1 << (SUM_BITS - 1))),
        .HIGH((65'sd1 << (SUM_BITS - 1)) - 65'sd1),
        .ROUNDING(SUM_ROUNDING),
        .OVERFLOW(SUM_OVERFLOW)
    ) sum_cast (
        .value(total),
        .multiplier(multiplier),
        .shift(shift),
        .raw(sum)
    );
endmodule
