// A model of the block RAM of ECP5 (DP16KD), of which Yosys has the ports only, for simulators of mapped netlists.
//
// FPGA-TN-02204: 1024 words of 18 bits behind two ports of 1, 2, 4, 9 or 18 bits; or of 36, port A then writes and port B
// reads, both with the data pins of both. Modes: with and without output registers, synchronous reset, writes that leave the output
// as it was, replace it by what is written, or by what was there. Addresses count bits: those of wider words leave
// out low bits, of which words of 18 and 36 bits take some as enables of their bytes.
//
// What one port reads while the other writes it is unknown, and is here the complement of what it was.

module DP16KD (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
    parameter DATA_WIDTH_A = 18;
    parameter DATA_WIDTH_B = 18;
    parameter REGMODE_A = "NOREG";
    parameter REGMODE_B = "NOREG";
    parameter RESETMODE = "SYNC";
    parameter ASYNC_RESET_RELEASE = "SYNC";
    parameter CSDECODE_A = "0b000";
    parameter CSDECODE_B = "0b000";
    parameter WRITEMODE_A = "NORMAL";
    parameter WRITEMODE_B = "NORMAL";
    parameter CLKAMUX = "CLKA";
    parameter CLKBMUX = "CLKB";
    parameter GSR = "ENABLED";
    parameter INIT_DATA = "STATIC";
    parameter INITVAL_00 = 320'h0;
    parameter INITVAL_01 = 320'h0;
    parameter INITVAL_02 = 320'h0;
    parameter INITVAL_03 = 320'h0;
    parameter INITVAL_04 = 320'h0;
    parameter INITVAL_05 = 320'h0;
    parameter INITVAL_06 = 320'h0;
    parameter INITVAL_07 = 320'h0;
    parameter INITVAL_08 = 320'h0;
    parameter INITVAL_09 = 320'h0;
    parameter INITVAL_0A = 320'h0;
    parameter INITVAL_0B = 320'h0;
    parameter INITVAL_0C = 320'h0;
    parameter INITVAL_0D = 320'h0;
    parameter INITVAL_0E = 320'h0;
    parameter INITVAL_0F = 320'h0;
    parameter INITVAL_10 = 320'h0;
    parameter INITVAL_11 = 320'h0;
    parameter INITVAL_12 = 320'h0;
    parameter INITVAL_13 = 320'h0;
    parameter INITVAL_14 = 320'h0;
    parameter INITVAL_15 = 320'h0;
    parameter INITVAL_16 = 320'h0;
    parameter INITVAL_17 = 320'h0;
    parameter INITVAL_18 = 320'h0;
    parameter INITVAL_19 = 320'h0;
    parameter INITVAL_1A = 320'h0;
    parameter INITVAL_1B = 320'h0;
    parameter INITVAL_1C = 320'h0;
    parameter INITVAL_1D = 320'h0;
    parameter INITVAL_1E = 320'h0;
    parameter INITVAL_1F = 320'h0;
    parameter INITVAL_20 = 320'h0;
    parameter INITVAL_21 = 320'h0;
    parameter INITVAL_22 = 320'h0;
    parameter INITVAL_23 = 320'h0;
    parameter INITVAL_24 = 320'h0;
    parameter INITVAL_25 = 320'h0;
    parameter INITVAL_26 = 320'h0;
    parameter INITVAL_27 = 320'h0;
    parameter INITVAL_28 = 320'h0;
    parameter INITVAL_29 = 320'h0;
    parameter INITVAL_2A = 320'h0;
    parameter INITVAL_2B = 320'h0;
    parameter INITVAL_2C = 320'h0;
    parameter INITVAL_2D = 320'h0;
    parameter INITVAL_2E = 320'h0;
    parameter INITVAL_2F = 320'h0;
    parameter INITVAL_30 = 320'h0;
    parameter INITVAL_31 = 320'h0;
    parameter INITVAL_32 = 320'h0;
    parameter INITVAL_33 = 320'h0;
    parameter INITVAL_34 = 320'h0;
    parameter INITVAL_35 = 320'h0;
    parameter INITVAL_36 = 320'h0;
    parameter INITVAL_37 = 320'h0;
    parameter INITVAL_38 = 320'h0;
    parameter INITVAL_39 = 320'h0;
    parameter INITVAL_3A = 320'h0;
    parameter INITVAL_3B = 320'h0;
    parameter INITVAL_3C = 320'h0;
    parameter INITVAL_3D = 320'h0;
    parameter INITVAL_3E = 320'h0;
    parameter INITVAL_3F = 320'h0;

    reg [35:0] words [0:511];

    wire [13:0] address_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [13:0] address_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
    wire [17:0] given_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
    wire [17:0] given_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
    reg [35:0] out_a, out_b, held_a, held_b;
    wire [35:0] now_a = REGMODE_A == "OUTREG" ? held_a : out_a, now_b = REGMODE_B == "OUTREG" ? held_b : out_b;
    wire [35:0] seen = DATA_WIDTH_B == 36 ? now_b : {now_b[17:0], now_a[17:0]};
    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = seen[17:0];
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = seen[35:18];

    // Bits of a word of 36 that belong to an address, in the place where they are.
    function [35:0] mask(input integer width, input [13:0] address);
        case (width)
            1: mask = 36'h1 << (address[4:3] * 9 + address[2:0]);
            2: mask = 36'h3 << (address[4:3] * 9 + {address[2:1], 1'b0});
            4: mask = 36'hF << (address[4:3] * 9 + {address[2], 2'b0});
            9: mask = 36'h1FF << (address[4:3] * 9);
            18: mask = 36'h3FFFF << (address[4] * 18);
            default: mask = 36'hFFFFFFFFF;
        endcase
    endfunction

    // How far up they are.
    function [5:0] low(input integer width, input [13:0] address);
        case (width)
            1: low = address[4:3] * 9 + address[2:0];
            2: low = address[4:3] * 9 + {address[2:1], 1'b0};
            4: low = address[4:3] * 9 + {address[2], 2'b0};
            9: low = address[4:3] * 9;
            18: low = address[4] * 18;
            default: low = 0;
        endcase
    endfunction

    // Bytes of 9 bits that are written, of those.
    function [35:0] enabled(input integer width, input [13:0] address);
        case (width)
            18: enabled = {2{{9{address[1]}}, {9{address[0]}}}};
            36: enabled = {{9{address[3]}}, {9{address[2]}}, {9{address[1]}}, {9{address[0]}}};
            default: enabled = 36'hFFFFFFFFF;
        endcase
    endfunction

    wire [35:0] data_a = DATA_WIDTH_A == 36 ? {given_b, given_a} : {18'b0, given_a};
    wire [35:0] mask_a = mask(DATA_WIDTH_A, address_a), mask_b = mask(DATA_WIDTH_B, address_b);
    wire [5:0] low_a = low(DATA_WIDTH_A, address_a), low_b = low(DATA_WIDTH_B, address_b);
    wire writes_a = CEA & WEA, writes_b = CEB & WEB;
    wire [35:0] written_a = writes_a ? mask_a & enabled(DATA_WIDTH_A, address_a) : 36'b0;
    wire [35:0] written_b = writes_b ? mask_b & enabled(DATA_WIDTH_B, address_b) : 36'b0;
    wire same = address_a[13:5] == address_b[13:5];
    wire [35:0] word_a = words[address_a[13:5]] ^ (same ? written_b : 36'b0);
    wire [35:0] word_b = words[address_b[13:5]] ^ (same ? written_a : 36'b0);
    wire [35:0] new_a = (word_a & ~written_a) | (data_a << low_a & written_a);
    wire [35:0] new_b = (word_b & ~written_b) | ({18'b0, given_b} << low_b & written_b);

    always @(posedge CLKA) begin
        if (|written_a) words[address_a[13:5]] <= new_a;
        if (RSTA && RESETMODE != "SYNC") $fatal(1, "DP16KD has no model of an asynchronous reset");
        if (RSTA) out_a <= 0;
        else if (CEA && (!WEA || WRITEMODE_A == "READBEFOREWRITE")) out_a <= (word_a & mask_a) >> low_a;
        else if (CEA && WRITEMODE_A == "WRITETHROUGH") out_a <= (new_a & mask_a) >> low_a;
    end

    // The output registers.
    always @(posedge CLKA) if (RSTA) held_a <= 0; else if (OCEA) held_a <= out_a;
    always @(posedge CLKB) if (RSTB) held_b <= 0; else if (OCEB) held_b <= out_b;

    always @(posedge CLKB) begin
        if (|written_b) words[address_b[13:5]] <= new_b;
        if (RSTB && RESETMODE != "SYNC") $fatal(1, "DP16KD has no model of an asynchronous reset");
        if (RSTB) out_b <= 0;
        else if (CEB && (!WEB || WRITEMODE_B == "READBEFOREWRITE")) out_b <= (word_b & mask_b) >> low_b;
        else if (CEB && WRITEMODE_B == "WRITETHROUGH") out_b <= (new_b & mask_b) >> low_b;
    end

    task load(input [319:0] values, input integer row);
        integer place;
        for (place = 0; place < 8; place = place + 1)
            words[row * 8 + place] = {values[place * 40 + 20 +: 18], values[place * 40 +: 18]};
    endtask

    initial begin
        if (DATA_WIDTH_B == 36 && REGMODE_A != REGMODE_B || CLKAMUX != "CLKA" || CLKBMUX != "CLKB"
            || CSDECODE_A != "0b000" || CSDECODE_B != "0b000") begin
            $fatal(1, "DP16KD is used in a mode that its model does not have");
        end
        load(INITVAL_00, 0);
        load(INITVAL_01, 1);
        load(INITVAL_02, 2);
        load(INITVAL_03, 3);
        load(INITVAL_04, 4);
        load(INITVAL_05, 5);
        load(INITVAL_06, 6);
        load(INITVAL_07, 7);
        load(INITVAL_08, 8);
        load(INITVAL_09, 9);
        load(INITVAL_0A, 10);
        load(INITVAL_0B, 11);
        load(INITVAL_0C, 12);
        load(INITVAL_0D, 13);
        load(INITVAL_0E, 14);
        load(INITVAL_0F, 15);
        load(INITVAL_10, 16);
        load(INITVAL_11, 17);
        load(INITVAL_12, 18);
        load(INITVAL_13, 19);
        load(INITVAL_14, 20);
        load(INITVAL_15, 21);
        load(INITVAL_16, 22);
        load(INITVAL_17, 23);
        load(INITVAL_18, 24);
        load(INITVAL_19, 25);
        load(INITVAL_1A, 26);
        load(INITVAL_1B, 27);
        load(INITVAL_1C, 28);
        load(INITVAL_1D, 29);
        load(INITVAL_1E, 30);
        load(INITVAL_1F, 31);
        load(INITVAL_20, 32);
        load(INITVAL_21, 33);
        load(INITVAL_22, 34);
        load(INITVAL_23, 35);
        load(INITVAL_24, 36);
        load(INITVAL_25, 37);
        load(INITVAL_26, 38);
        load(INITVAL_27, 39);
        load(INITVAL_28, 40);
        load(INITVAL_29, 41);
        load(INITVAL_2A, 42);
        load(INITVAL_2B, 43);
        load(INITVAL_2C, 44);
        load(INITVAL_2D, 45);
        load(INITVAL_2E, 46);
        load(INITVAL_2F, 47);
        load(INITVAL_30, 48);
        load(INITVAL_31, 49);
        load(INITVAL_32, 50);
        load(INITVAL_33, 51);
        load(INITVAL_34, 52);
        load(INITVAL_35, 53);
        load(INITVAL_36, 54);
        load(INITVAL_37, 55);
        load(INITVAL_38, 56);
        load(INITVAL_39, 57);
        load(INITVAL_3A, 58);
        load(INITVAL_3B, 59);
        load(INITVAL_3C, 60);
        load(INITVAL_3D, 61);
        load(INITVAL_3E, 62);
        load(INITVAL_3F, 63);
    end
endmodule
