    wire [7:0] traced;
    assign trace_signal = {8'd0, traced};
    <<module>> #(
        <<parameters>>
    ) device (
        .clk(clk), .reset(reset),
        .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data), .in_clear(in_clear), .in_last(in_last),
        .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data),
        .load_valid(load_valid), .load_direction(load_lstm[0]), .load_select(load_select),
        .load_address(load_address), .load_data(load_data),
        .trace_valid(trace_valid), .trace_signal(traced), .trace_unit(trace_unit), .trace_data(trace_data)
    );
