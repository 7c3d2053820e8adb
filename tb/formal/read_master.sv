// An AXI4 master that reads: addresses stay until they are taken and never cross 4 KiB (AMBA AXI, A3.2.1, A3.4.1); not
// more bursts are open than there may be, every word goes to a channel, and nothing is asked for while it is stopped.
module rules(input clk);
  localparam N = 4, OUTSTANDING = 2;
  (* anyseq *) wire rst, arready, rvalid, rlast, stop; (* anyseq *) wire [1:0] rresp; (* anyseq *) wire [31:0] rdata;
  (* anyseq *) wire [N-1:0] request; (* anyseq *) wire [N*14-1:0] address; (* anyseq *) wire [N*2-1:0] words;
  (* anyseq *) wire [N*2-1:0] tag;
  wire arvalid, rready, idle, last, error;
  wire [15:0] araddr; wire [7:0] arlen; wire [2:0] arsize; wire [1:0] arburst;
  wire [N-1:0] granted, valid; wire [31:0] data; wire [1:0] data_tag;
  unit dut(.clk(clk), .rst(rst), .m_axi_arready(arready), .m_axi_rid(1'b0), .m_axi_rdata(rdata),
      .m_axi_rresp(rresp), .m_axi_rlast(rlast), .m_axi_rvalid(rvalid), .m_axi_araddr(araddr), .m_axi_arlen(arlen),
      .m_axi_arsize(arsize), .m_axi_arburst(arburst), .m_axi_arvalid(arvalid), .m_axi_rready(rready),
      .request(request), .address(address), .words(words), .tag(tag), .granted(granted), .stop(stop),
      .idle(idle), .valid(valid), .data(data), .last(last), .error(error), .data_tag(data_tag));
  reg started = 0; always @(posedge clk) started <= 1;
  wire [1:0] under_way, level; wire front, back; // of the unit
  initial assume(rst);
  // bursts that were granted, and those of them that the bus has taken
  reg [2:0] open = 0, taken = 0;
  wire grants = |granted, takes = arvalid && arready, ends = rvalid && rready && rlast;
  always @(posedge clk)
    if (rst) begin open <= 0; taken <= 0; end
    else begin open <= open + grants - ends; taken <= taken + takes - ends; end
  // channels ask for bursts that stay in their multiple of four words; the bus answers what it has taken
  genvar i;
  generate for (i = 0; i < N; i = i + 1) begin
    always @(*) assume(address[14*i +: 2] + words[2*i +: 2] < 4);
  end endgenerate
  always @(*) if (rvalid) assume(taken != 0);
  always @(*) if (!rst && started) begin
    assert(under_way == open && level == open);
    assert((front ^ back) == level[0]);
    assert(rready);
    assert((granted & (granted - 1)) == 0);
    assert((granted & ~request) == 0);
    assert(!stop || granted == 0);
    assert(open <= OUTSTANDING);
    assert(taken <= open && taken + arvalid == open);
    assert(idle == (open == 0));
    if (arvalid) begin
      assert(arsize == 2 && arburst == 1 && araddr[1:0] == 0);
      assert(araddr[11:2] + arlen < 1024);
    end
    assert((valid & (valid - 1)) == 0);
  end
  always @(posedge clk) if (started && !rst && !$past(rst)) begin
    if ($past(arvalid && !arready)) assert(arvalid && $stable(araddr) && $stable(arlen));
    assert((|valid) == $past(rvalid));
    if (|valid) assert(data == $past(rdata) && last == $past(rlast) && error == $past(rresp[1]));
  end
endmodule
