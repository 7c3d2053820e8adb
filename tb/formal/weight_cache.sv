// A cache of weights: the engine gets for each panel of rows all beats in their order, those that are kept as they came for
// the first one; it is given no beat twice and loses none, and a beat stays until it is taken.
module rules(input clk);
  localparam KEPT = 2, COUNT = `COUNT, ROWS = 3;
  (* anyseq *) wire rst, start, given_valid, beats_ready; (* anyseq *) wire [1:0] given;
  wire [19:0] rows = ROWS; wire [31:0] count = COUNT; (* anyconst *) wire [2:0] watched; // place in a panel
  wire given_ready, beat_valid; wire [1:0] beat;
  unit dut(.clk(clk), .rst(rst), .start(start), .m(rows), .count(count), .given__payload(given),
      .given__valid(given_valid), .given__ready(given_ready), .beats__payload(beat), .beats__valid(beat_valid),
      .beats__ready(beats_ready));
  reg started = 0; always @(posedge clk) started <= 1;
  reg running = 0; always @(posedge clk) running <= running || start;
  initial assume(rst);
  always @(*) if (started) assume(!rst);
  always @(*) begin
    assume(watched < COUNT); assume(start == (started && !running));
  end
  // where the next beat that comes, and the next that goes, has its place; and the watched one's value
  reg [2:0] in = 0, out = 0; reg [1:0] in_panel = 0, out_panel = 0; reg [1:0] value = 0;
  wire takes = given_valid && given_ready, gives = beat_valid && beats_ready;
  wire in_ends = in + 1 == count, out_ends = out + 1 == count;
  always @(posedge clk) if (!rst) begin
    if (takes) begin
      in <= !in_ends ? in + 1 : count > KEPT ? KEPT : 0; in_panel <= in_panel + in_ends;
      if (in == watched) value <= given;
    end
    if (gives) begin out <= out_ends ? 0 : out + 1; out_panel <= out_panel + out_ends; end
  end
  always @(*) if (started && !rst) begin
    if (!running) assert(!takes && !gives);
    if (running && out_panel < rows && gives && out == watched)
      assert(beat == (takes && in == watched ? given : value));
    // a beat that is not kept goes as it comes
    if (running && out_panel < rows && (out >= KEPT || out_panel == 0)) assert(takes == gives);
    if (running && out_panel < rows && out < KEPT && out_panel != 0) assert(!takes);
  end
  always @(posedge clk) if (running && !rst && !$past(rst) && $past(beat_valid && !beats_ready) && $past(running))
    if ($past(given_valid)) if (given_valid && $stable(given)) assert(beat_valid && $stable(beat));
endmodule
