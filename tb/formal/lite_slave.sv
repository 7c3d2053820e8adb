// An AXI4-Lite slave: every address and word that is taken is answered once, and what is valid stays until it is taken
// (AMBA AXI, A3.2.1, A3.3.1).
module rules(input clk);
  (* anyseq *) wire rst, awvalid, wvalid, bready, arvalid, rready, write_known, read_known, read_ready;
  (* anyseq *) wire [7:0] awaddr, araddr; (* anyseq *) wire [31:0] wdata, read_data; (* anyseq *) wire [3:0] wstrb;
  wire awready, wready, bvalid, arready, rvalid, write; wire [1:0] bresp, rresp; wire [31:0] rdata;
  unit dut(.clk(clk), .rst(rst), .s_axi_awaddr(awaddr), .s_axi_awprot(3'b0), .s_axi_awvalid(awvalid),
      .s_axi_wdata(wdata), .s_axi_wstrb(wstrb), .s_axi_wvalid(wvalid), .s_axi_bready(bready),
      .s_axi_araddr(araddr), .s_axi_arprot(3'b0), .s_axi_arvalid(arvalid), .s_axi_rready(rready),
      .s_axi_awready(awready), .s_axi_wready(wready), .s_axi_bresp(bresp), .s_axi_bvalid(bvalid),
      .s_axi_arready(arready), .s_axi_rdata(rdata), .s_axi_rresp(rresp), .s_axi_rvalid(rvalid),
      .write(write), .write_known(write_known), .read_data(read_data), .read_known(read_known),
      .read_ready(read_ready));
  reg started = 0; reg [1:0] addresses = 0, words = 0, reads = 0;
  always @(posedge clk) started <= 1;
  always @(posedge clk) begin
    if (rst) begin addresses <= 0; words <= 0; reads <= 0; end
    else begin
      addresses <= addresses + (awvalid && awready) - (bvalid && bready);
      words <= words + (wvalid && wready) - (bvalid && bready);
      reads <= reads + (arvalid && arready) - (rvalid && rready);
    end
  end
  wire has_read; // of the unit
  initial assume(rst);
  always @(*) if (!rst && started) begin
    if (bvalid) assert(addresses != 0 && words != 0);
    if (rvalid) assert(reads != 0);
    assert(addresses == !awready + bvalid);
    assert(words == !wready + bvalid);
    assert(reads == !arready);
    assert(!write || !bvalid);
    assert(!(has_read && rvalid));
  end
  always @(posedge clk) if (started && !$past(rst) && !rst) begin
    if ($past(bvalid && !bready)) assert(bvalid && $stable(bresp));
    if ($past(rvalid && !rready)) assert(rvalid && $stable(rdata) && $stable(rresp));
  end
endmodule
