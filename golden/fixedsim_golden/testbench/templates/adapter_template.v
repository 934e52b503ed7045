// The device under test behind the ports that the bench drives. Connect yours where the note below stands.
//
<<ports>>
// Data that are not valid are unknown (x).
<<tables>>
module device_adapter (
    input clk,
    input reset,
    input in_valid,
    output in_ready,
    input [<<in_bits>>-1:0] in_data,
    input in_clear,
    input in_last,
    output out_valid,
    input out_ready,
    output [<<out_bits>>-1:0] out_data,
    input load_valid,
    input [7:0] load_lstm,
    input load_select,
    input [15:0] load_address,
    input [<<load_bits>>-1:0] load_data,
    output trace_valid,
    output [15:0] trace_signal,
    output [15:0] trace_unit,
    output signed [63:0] trace_data
);
<<body>>
endmodule
