// A gearbox: a beat stays until it is taken, every byte comes out once and in its place, and it is empty if and only if
// nothing is left. Words are cut short only where a run of beats ends, as readers do it: then all is a whole beat.
module rules(input clk);
  localparam WORD = 16, BYTES = WORD / 8, OUT = `BEAT / 8;
  (* anyseq *) wire rst, valid, ready; (* anyseq *) wire [WORD-1:0] word; (* anyseq *) wire used;
  (* anyconst *) wire [4:0] watched; // the number of a byte
  wire word_ready, beat_valid, empty; wire [`BEAT-1:0] beat;
  unit dut(.clk(clk), .rst(rst), .words__payload(word), .words__valid(valid), .words__ready(word_ready), .used(used),
      .beats__payload(beat), .beats__valid(beat_valid), .beats__ready(ready), .empty(empty));
  reg started = 0; always @(posedge clk) started <= 1;
  initial assume(rst);
  always @(*) if (started) assume(!rst);
  reg [4:0] taken = 0, given = 0; reg [2:0] part = 0; // of the beat that is begun
  reg [7:0] value = 0;
  wire takes = valid && word_ready, gives = beat_valid && ready;
  wire [4:0] in = watched - taken, out = watched - given;
  always @(posedge clk) if (!rst) begin
    taken <= taken + (takes ? used + 1 : 0); given <= given + (gives ? OUT : 0);
    if (takes) part <= part + used + 1 >= OUT ? part + used + 1 - OUT : part + used + 1;
    if (takes && in <= used) value <= word[8*in[0] +: 8];
  end
  always @(*) if (valid && used != BYTES - 1) assume(part + used + 1 == OUT);
  always @(*) if (!rst && started) begin
    assert(given <= taken);
    if (`HOLDS) assert(empty == (given == taken));
    if (gives && out < OUT && watched < taken) assert(beat[8*out +: 8] == value);
    if (beat_valid && `HOLDS) assert(given + OUT <= taken);
  end
  always @(posedge clk) if (started && !rst && !$past(rst)) begin
    if ($past(valid && !word_ready)) assume(valid && $stable(word) && $stable(used));
    if ($past(beat_valid && !ready)) assert(beat_valid && $stable(beat));
  end
endmodule
