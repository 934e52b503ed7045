// raw <- value * multiplier / 2**shift, rounded once and brought into LOW .. HIGH. Combinational; nothing is lost on
// the way.
//
// ROUNDING: 0 floor, 1 toward_zero, 2 half_up, 3 half_down, 4 half_away, 5 half_toward_zero, 6 half_even, 7 half_odd.
// OVERFLOW: 0 wrap, 1 saturate, 2 saturate_symmetric, 3 saturate_zero.
// STEP 2 means odd raws: then rounding and overflow are decided on the code (raw - LOW) / 2.
// A raw of a format of BITS bits is carried in BITS + 1 bits, signed, whatever the format is.
module fixedsim_cast #(
    parameter VALUE_BITS = 32,
    parameter MULTIPLIER_BITS = 1,
    parameter LEFT = 0,   // the farthest that shift goes below zero
    parameter RIGHT = 0,  // the farthest that it goes above
    parameter BITS = 16,
    parameter signed [64:0] LOW = -32768,
    parameter signed [64:0] HIGH = 32767,
    parameter STEP = 1,
    parameter ROUNDING = 0,
    parameter OVERFLOW = 1
) (
    input signed [VALUE_BITS-1:0] value,
    input [MULTIPLIER_BITS-1:0] multiplier,
    input signed [7:0] shift,
    output signed [BITS:0] raw
);
    localparam PRODUCT = VALUE_BITS + MULTIPLIER_BITS + LEFT;
    localparam TARGET = BITS + RIGHT;
    localparam WIDE = (PRODUCT > TARGET ? PRODUCT : TARGET) + 3;

    localparam SYMMETRIC = OVERFLOW == 2 && LOW < 0 && BITS > 1 && HIGH >= 0 && LOW < -HIGH;
    localparam signed [WIDE-1:0] LOWEST = STEP == 2 ? 0 : SYMMETRIC ? -HIGH : LOW;
    localparam signed [WIDE-1:0] HIGHEST = STEP == 2 ? (HIGH - LOW) / 2 : HIGH;
    localparam signed [WIDE-1:0] TO_CODE = STEP == 2 ? -LOW : 0;

`ifdef FAULT_TRUNCATION_TOWARD_ZERO
    localparam RULE = 1;
`elsif FAULT_TIES_UP
    localparam RULE = ROUNDING == 6 ? 2 : ROUNDING;
`else
    localparam RULE = ROUNDING;
`endif

    wire signed [7:0] left = shift < 0 ? -shift : 8'sd0;
    wire signed [7:0] right = shift > 0 ? shift : 8'sd0;
    wire [7:0] dropped = right + (STEP == 2 ? 1 : 0);

    wire signed [WIDE-1:0] product = value * $signed({1'b0, multiplier});
    wire signed [WIDE-1:0] exact = (product <<< left) + (TO_CODE <<< right);
`ifdef FAULT_SHIFT_LOGICAL
    wire signed [WIDE-1:0] floor = exact >> dropped;
`else
    wire signed [WIDE-1:0] floor = exact >>> dropped;
`endif

    wire [WIDE-1:0] unit = {{(WIDE - 1) {1'b0}}, 1'b1} << dropped;
    wire [WIDE-1:0] rest = exact & (unit - 1'b1);
    wire [WIDE-1:0] twice = rest << 1;
    wire above = twice > unit;
    wire tie = twice == unit;
    wire negative = exact[WIDE-1];

    reg up;
    always @* begin
        case (RULE)
            0: up = 1'b0;
            1: up = negative && rest != 0;
            2: up = above || tie;
            3: up = above;
            4: up = above || (tie && !negative);
            5: up = above || (tie && negative);
            6: up = above || (tie && floor[0]);
            default: up = above || (tie && !floor[0]);
        endcase
`ifdef FAULT_ROUNDING_DROPPED
        up = 1'b0;
`endif
    end

    wire signed [WIDE-1:0] rounded = up ? floor + 1 : floor;
    wire [BITS:0] wrapped = {LOW < 0 && STEP == 1 ? rounded[BITS-1] : 1'b0, rounded[BITS-1:0]};

    reg signed [BITS:0] held;
    always @* begin
        held = rounded[BITS:0];
        if (OVERFLOW == 0) held = wrapped;
        else if (rounded > HIGHEST) held = OVERFLOW == 3 ? 0 : HIGHEST[BITS:0];
        else if (rounded < LOWEST) held = OVERFLOW == 3 ? 0 : LOWEST[BITS:0];
`ifdef FAULT_SATURATION_HIGH_MISSING
        if (rounded > HIGHEST) held = wrapped;
`endif
`ifdef FAULT_SATURATION_LOW_MISSING
        if (rounded < LOWEST) held = wrapped;
`endif
    end

    assign raw = STEP == 2 ? LOW + 2 * held : held;
endmodule
