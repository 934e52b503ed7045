// The raw that a stored code means: two's complement, unsigned from LOW 0 on, or with STEP 2 LOW + 2 * code.
module fixedsim_raw #(
    parameter BITS = 8,
    parameter signed [64:0] LOW = -128,
    parameter STEP = 1
) (
    input [BITS-1:0] code,
    output signed [BITS:0] raw
);
    wire [BITS:0] extended = {LOW < 0 ? code[BITS-1] : 1'b0, code};
`ifdef FAULT_RAW_STEP
    assign raw = extended;
`else
    assign raw = STEP == 2 ? LOW + 2 * $signed({1'b0, code}) : $signed(extended);
`endif
endmodule
