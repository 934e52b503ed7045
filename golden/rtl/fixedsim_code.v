// The code that stores a raw: its low bits, or with STEP 2 (raw - LOW) / 2.
module fixedsim_code #(
    parameter BITS = 8,
    parameter signed [64:0] LOW = -128,
    parameter STEP = 1
) (
    input signed [BITS:0] raw,
    output [BITS-1:0] code
);
    wire signed [64:0] above = raw - LOW;
    assign code = STEP == 2 ? above[BITS:1] : raw[BITS-1:0];
endmodule
