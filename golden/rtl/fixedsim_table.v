// A function by a table of values: on the line between two neighbours, clamped to the first and last. Combinational.
//
// With i = floor(raw / 2**INDEX_SHIFT) + OFFSET and r = raw mod 2**INDEX_SHIFT it gives
// values[i] + (values[i + 1] - values[i]) * r / 2**INDEX_SHIFT, the second term rounded by ROUNDING.
module fixedsim_table #(
    parameter INPUT_BITS = 16,
    parameter VALUES = 1025,
    parameter BITS = 16,
    parameter SIGNED = 1,
    parameter INDEX_SHIFT = 6,
    parameter signed [63:0] OFFSET = 512,
    parameter ROUNDING = 2,
    parameter FILE = "table.hex"
) (
    input signed [INPUT_BITS:0] raw,
    output signed [BITS:0] value
);
    reg [BITS-1:0] values[0:VALUES-1];
    initial $readmemh(FILE, values);

    wire signed [63:0] whole = raw >>> INDEX_SHIFT;
`ifdef FAULT_TABLE_INDEX_OFF
    wire signed [63:0] index = whole + OFFSET + 1;
`else
    wire signed [63:0] index = whole + OFFSET;
`endif
`ifdef FAULT_TABLE_CLAMP_MISSING
    wire below = 1'b0;
    wire beyond = 1'b0;
`else
    wire below = index < 0;
    wire beyond = index >= VALUES - 1;
`endif
    wire [31:0] at = below ? 0 : beyond ? VALUES - 1 : index[31:0];
    wire [31:0] after = below || beyond ? at : at + 1;

    localparam signed [64:0] LOW = SIGNED ? -1 : 0;
    wire signed [BITS:0] here, there;
    fixedsim_raw #(.BITS(BITS), .LOW(LOW)) here_raw (.code(values[at]), .raw(here));
    fixedsim_raw #(.BITS(BITS), .LOW(LOW)) there_raw (.code(values[after]), .raw(there));

`ifdef FAULT_INTERPOLATION_DROPPED
    wire signed [INDEX_SHIFT:0] rest = 0;
`else
    wire signed [INDEX_SHIFT:0] rest = raw - (whole <<< INDEX_SHIFT);
`endif
    wire signed [BITS+1:0] rise = there - here;
    wire signed [BITS+INDEX_SHIFT+2:0] part = rise * rest;
    wire signed [BITS+2:0] rounded;
    fixedsim_stage #(
        .VALUE_BITS(BITS + INDEX_SHIFT + 3),
        .BITS(BITS + 2),
        .SHIFT(INDEX_SHIFT),
        .ROUNDING(ROUNDING)
    ) interpolation (
        .value(part),
        .raw(rounded)
    );
    assign value = here + rounded;
endmodule
