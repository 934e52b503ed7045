// raw <- value / 2**SHIFT in a format that uses all its codes: a narrowing whose shift is wired.
module fixedsim_stage #(
    parameter VALUE_BITS = 32,
    parameter BITS = 16,
    parameter SIGNED = 1,
    parameter SHIFT = 0,
    parameter ROUNDING = 0,
    parameter OVERFLOW = 1
) (
    input signed [VALUE_BITS-1:0] value,
    output signed [BITS:0] raw
);
    localparam signed [64:0] ONE = 1;
    localparam signed [7:0] WIRED = SHIFT;

    fixedsim_cast #(
        .VALUE_BITS(VALUE_BITS),
        .LEFT(SHIFT < 0 ? -SHIFT : 0),
        .RIGHT(SHIFT > 0 ? SHIFT : 0),
        .BITS(BITS),
        .LOW(SIGNED ? -(ONE << (BITS - 1)) : 65'sd0),
        .HIGH(SIGNED ? (ONE << (BITS - 1)) - ONE : (ONE << BITS) - ONE),
        .ROUNDING(ROUNDING),
        .OVERFLOW(OVERFLOW)
    ) cast (
        .value(value),
        .multiplier(1'b1),
        .shift(WIRED),
        .raw(raw)
    );
endmodule
