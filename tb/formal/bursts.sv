// A reader of memory: it asks for no burst beyond the multiple of the longest one that its first word is in, and so for none
// across a boundary of 4 KiB (AMBA AXI, A3.4.1); it asks until it is granted, for nothing beyond the region,
// and for no more than it has room for.
module rules(input clk);
  localparam BURST = 4, ROOM = 8;
  (* anyseq *) wire rst, start, granted, valid, last, error, beats_ready; (* anyseq *) wire [31:0] data;
  (* anyseq *) wire [1:0] product, current, retiring; (* anyseq *) wire [3:0] data_tag;
  (* anyconst *) wire [13:0] before_it; (* anyconst *) wire [15:0] last_byte; (* anyseq *) wire [19:0] panels;
  wire ready, request, past; wire [13:0] address; wire [1:0] words; wire [3:0] tag;
  unit dut(.clk(clk), .rst(rst), .start(start), .ready(ready), .product(product), .current(current),
      .retiring(retiring), .past(past), .in_front(before_it), .last_byte(last_byte), .panels(panels), .request(request),
      .granted(granted), .address(address), .words(words), .tag(tag), .valid(valid), .data(data), .last(last),
      .error(error), .data_tag(data_tag), .beats__ready(beats_ready));
  wire [13:0] in_front; wire [15:0] region_end; wire some, busy, there;
  wire [3:0] room; wire [2:0] level; // all of the unit
  reg started = 0; always @(posedge clk) started <= 1;
  initial assume(rst);
  reg [4:0] coming = 0; always @(posedge clk) coming <= rst ? 0 : coming + (granted ? words + 1 : 0) - valid;
  always @(*) begin assume(before_it < last_byte[15:2]); if (granted) assume(request); if (start) assume(ready);
    if (valid) assume(coming != 0); end
  always @(*) if (started && !rst) begin
    assert({1'b0, room} + coming + level + there == ROOM);
    // no conditions of what is inside: it has no driver when conditions are looked at
    assert(!busy || (in_front == before_it && region_end == last_byte));
    assert(!some || (busy && address > before_it && address <= last_byte[15:2]));
    if (request) assert(some && address[1:0] + words < BURST && address + words <= last_byte[15:2]);
  end
  always @(posedge clk) if (started && !rst && !$past(rst)) begin
    if ($past(request && !granted)) assert(request && $stable(address) && $stable(words) && $stable(tag));
  end
endmodule
