// An AXI4 master that writes: addresses and words stay until they are taken (AMBA AXI, A3.2.1); queues neither overflow
// nor lose a burst or word, and it is idle if and only if every burst is answered.
module rules(input clk);
  localparam OUTSTANDING = 4, BURSTS = 4, WORDS = 16;
  (* anyseq *) wire rst, awready, wready, bvalid, burst_valid, word_valid, last; (* anyseq *) wire [1:0] bresp;
  (* anyseq *) wire [13:0] address; (* anyseq *) wire [1:0] words; (* anyseq *) wire [31:0] data;
  (* anyseq *) wire [3:0] strobe;
  wire awvalid, wvalid, wlast, bready, burst_ready, word_ready, idle, failed;
  wire [15:0] awaddr; wire [7:0] awlen; wire [2:0] awsize; wire [1:0] awburst; wire [31:0] wdata; wire [3:0] wstrb;
  unit dut(.clk(clk), .rst(rst), .m_axi_awready(awready), .m_axi_wready(wready), .m_axi_bid(1'b0),
      .m_axi_bresp(bresp), .m_axi_bvalid(bvalid), .burst_valid(burst_valid), .address(address), .words(words),
      .word_valid(word_valid), .data(data), .strobe(strobe), .last(last), .m_axi_awaddr(awaddr),
      .m_axi_awlen(awlen), .m_axi_awsize(awsize), .m_axi_awburst(awburst), .m_axi_awvalid(awvalid),
      .m_axi_wdata(wdata), .m_axi_wstrb(wstrb), .m_axi_wlast(wlast), .m_axi_wvalid(wvalid),
      .m_axi_bready(bready), .burst_ready(burst_ready), .word_ready(word_ready), .idle(idle),
      .failed(failed));
  reg started = 0; always @(posedge clk) started <= 1;
  wire [1:0] burst_level; wire [3:0] word_level; wire [2:0] unanswered; // of the unit
  initial assume(rst);
  reg [3:0] open = 0, sent = 0, held_bursts = 0; reg [5:0] held_words = 0;
  wire puts = burst_valid && burst_ready, sends = awvalid && awready, answers = bvalid && bready;
  always @(posedge clk)
    if (rst) begin open <= 0; sent <= 0; held_bursts <= 0; held_words <= 0; end
    else begin
      open <= open + puts - answers; sent <= sent + sends - answers; held_bursts <= held_bursts + puts - sends;
      held_words <= held_words + (word_valid && word_ready) - (wvalid && wready);
    end
  always @(*) begin assume(address[1:0] + words < 4); if (bvalid) assume(sent != 0); end
  always @(*) if (!rst && started) begin
    assert(unanswered == open && open == sent + held_bursts && sent <= open && held_bursts <= open);
    assert(burst_level + awvalid == held_bursts && held_bursts <= BURSTS);
    assert(word_level + wvalid == held_words && held_words <= WORDS);
    assert(bready);
    assert(open <= OUTSTANDING);
    assert(idle == (open == 0));
    if (held_words == 0) assert(!wvalid);
  end
  always @(posedge clk) if (started && !rst && !$past(rst)) begin
    if ($past(awvalid && !awready)) assert(awvalid && $stable(awaddr) && $stable(awlen));
    if ($past(wvalid && !wready)) assert(wvalid && $stable(wdata) && $stable(wstrb) && $stable(wlast));
  end
endmodule
