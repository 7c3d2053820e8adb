// 7 series: a multiplier with its accumulator is one DSP48E1 (AMD UG479).
// Registers lie at its operands, behind its multiplier, and at its sum; Z is the sum, or 0.
`define MULTIPLY_ACCUMULATE(name, operand_registers, product_registers) \
module name(input clk, input signed [24:0] a, input signed [17:0] b, input enable, again, output signed [47:0] p); \
  DSP48E1 #( \
    .AREG(operand_registers), .ACASCREG(operand_registers), .BREG(operand_registers), .BCASCREG(operand_registers), \
    .MREG(product_registers), .PREG(1), .ADREG(0), .ALUMODEREG(0), .CARRYINREG(0), .CARRYINSELREG(0), .CREG(0), \
    .DREG(0), .INMODEREG(0), .OPMODEREG(0), .USE_DPORT("FALSE"), .USE_MULT("MULTIPLY") \
  ) dsp ( \
    .CLK(clk), .A({{5{a[24]}}, a}), .B(b), .P(p), .CEP(enable), .OPMODE({1'b0, again, 5'b00101}), \
    .CEA1(1'b1), .CEA2(1'b1), .CEB1(1'b1), .CEB2(1'b1), .CEM(1'b1), .CEAD(1'b0), .CEALUMODE(1'b0), .CEC(1'b0), \
    .CECARRYIN(1'b0), .CECTRL(1'b0), .CED(1'b0), .CEINMODE(1'b0), .RSTA(1'b0), .RSTALLCARRYIN(1'b0), \
    .RSTALUMODE(1'b0), .RSTB(1'b0), .RSTC(1'b0), .RSTCTRL(1'b0), .RSTD(1'b0), .RSTINMODE(1'b0), .RSTM(1'b0), \
    .RSTP(1'b0), .ALUMODE(4'b0000), .INMODE(5'b00000), .CARRYIN(1'b0), .CARRYINSEL(3'b000), .CARRYCASCIN(1'b0), \
    .MULTSIGNIN(1'b0), .ACIN(30'b0), .BCIN(18'b0), .C(48'b0), .D(25'b0), .PCIN(48'b0) \
  ); \
endmodule

`MULTIPLY_ACCUMULATE(multiply_accumulate_25x18_48_r0, 0, 0)
`MULTIPLY_ACCUMULATE(multiply_accumulate_25x18_48_r1, 0, 1)
`MULTIPLY_ACCUMULATE(multiply_accumulate_25x18_48_r2, 1, 1)
