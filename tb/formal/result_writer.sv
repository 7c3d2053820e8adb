// A writer of results: no burst beyond the multiple of the longest one that its first word is in, and so none across a
// boundary of 4 KiB (AMBA AXI, A3.4.1); bursts and words stay until they are taken; and the words of each burst end with
// the one that is marked as its last.
module rules(input clk);
  localparam BURST = 4;
  (* anyseq *) wire rst, start, stop, beats_valid, burst_ready, word_ready; (* anyseq *) wire [`ROW-1:0] beat;
  (* anyseq *) wire [13:0] base, stride, plane; (* anyseq *) wire [19:0] rows, cols; (* anyseq *) wire results;
  (* anyconst *) wire [3:0] watched; // the number of a burst
  wire ready, done, quiet, beats_ready, burst_valid, word_valid, last; wire [13:0] address; wire [1:0] words;
  wire [31:0] data; wire [3:0] strobe;
  unit dut(.clk(clk), .rst(rst), .start(start), .ready(ready), .base(base), .stride(stride), .plane(plane), .m(rows),
      .n(cols), .results(results), .beats__payload(beat), .beats__valid(beats_valid), .beats__ready(beats_ready),
      .stop(stop), .done(done), .quiet(quiet), .burst_valid(burst_valid), .burst_ready(burst_ready),
      .address(address), .words(words), .word_valid(word_valid), .word_ready(word_ready), .data(data),
      .strobe(strobe), .last(last));
  reg started = 0; always @(posedge clk) started <= 1;
  initial assume(rst);
  always @(*) if (started) assume(!rst);
  reg [3:0] asked = 0, ended = 0; reg [5:0] given = 0, end_of_watched = 0, promised = 0;
  wire asks = burst_valid && burst_ready, gives = word_valid && word_ready;
  always @(*) begin
    if (start) assume(ready && rows != 0 && cols != 0 && results == 1);
  end
  always @(posedge clk) if (!rst) begin
    asked <= asked + asks; ended <= ended + (gives && last); given <= given + gives;
    promised <= promised + (asks ? words + 1 : 0);
    if (asks && asked == watched) end_of_watched <= promised + words + 1;
  end
  always @(*) if (started && !rst) begin
    if (burst_valid) assert(address[1:0] + words < BURST);
    // what is marked as the watched burst's last is, and nothing else
    if (gives && last && ended == watched && asked > watched) assert(given + 1 == end_of_watched);
    if (asked > watched && given == end_of_watched) assert(ended > watched);
    if (quiet) assert(given == promised && asked == ended);
  end
  always @(posedge clk) if (started && !rst && !$past(rst)) begin
    if ($past(burst_valid && !burst_ready)) assert(burst_valid && $stable(address) && $stable(words));
    if ($past(word_valid && !word_ready)) assert(word_valid && $stable(data) && $stable(strobe) && $stable(last));
  end
endmodule
