// A driver of a Verilated accelerator that never waits for ever, whatever the hardware does.
//
// It makes the accesses of macforge.c: doorbell, polls of the status, an error's cause, resumption, and a reset.

#pragma once

#include "bus_memory.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

#include <cstdint>
#include <memory>
#include <vector>

// Cycles in which a register must answer, and between two polls.
constexpr uint32_t kAnswer = 2000, kGap = 4;
// Polls until a reset must be through, see mf_init().
constexpr uint32_t kQuiet = 5000;
constexpr uint32_t kBusy = 1, kError = 2, kEnable = 1, kReset = 2, kClear = 4;

enum End : uint8_t { kRunning, kDone, kGivenUp, kLate, kNoAnswer };

// Offsets of the registers that the driver uses; those that the accelerator does not have are ~0.
struct Offsets {
    uint32_t control, status, base_low, base_high, size, head, tail, cause, interrupt_status, faults, corrected;
};

// Polls the status until nothing is under way.
struct Poller {
    uint32_t state, gap, waited, value, end, ready, valid;
};

// The hardware, its memory, and what the driver knows of both.
struct Driver {
    VerilatedContext context;
    Vtop top{&context};
    std::vector<uint8_t> memory;
    BusMemory bus;
    Poller poller{};
    Offsets offsets{};
    uint32_t head = 0, size_log = 0, patience = 0;
    uint64_t ring = 0;
    bool refused = false;
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> waves;
#endif

    bool recorded() const {
#if VM_TRACE
        return waves != nullptr;
#else
        return false;
#endif
    }

    void dump(uint64_t time) {
#if VM_TRACE
        if (waves) waves->dump(time);
#else
        (void)time;
#endif
    }

    void cycle() {
        bus.prepare(top);
        top.clk = 0;
        top.eval();
        dump(bus.cycles * 10 + 5);
        bus.take(top, memory.data());
        poller.ready = top.s_axi_ctrl_arready && top.s_axi_ctrl_arvalid;
        poller.valid = top.s_axi_ctrl_rvalid && top.s_axi_ctrl_rready;
        poller.value = top.s_axi_ctrl_rdata;
        bool refuses = poller.valid && top.s_axi_ctrl_rresp;
        refuses |= top.s_axi_ctrl_bvalid && top.s_axi_ctrl_bready && top.s_axi_ctrl_bresp;
        refused |= refuses;
        written_address = top.s_axi_ctrl_awready && top.s_axi_ctrl_awvalid;
        written_data = top.s_axi_ctrl_wready && top.s_axi_ctrl_wvalid;
        answered = top.s_axi_ctrl_bvalid && top.s_axi_ctrl_bready;
        top.clk = 1;
        top.eval();
        bus.cycles++;
        bus.offer(top, memory.data());
        dump(bus.cycles * 10);
    }

    bool written_address = false, written_data = false, answered = false;

    // Accesses that wait for their answers; false if none comes.
    bool read(uint32_t offset, uint32_t& value) {
        top.s_axi_ctrl_araddr = offset;
        top.s_axi_ctrl_arvalid = top.s_axi_ctrl_rready = 1;
        bool got = false;
        for (uint32_t i = 0; i < kAnswer && !got; i++) {
            cycle();
            if (poller.ready) top.s_axi_ctrl_arvalid = 0;
            got = poller.valid;
        }
        value = poller.value;
        top.s_axi_ctrl_arvalid = top.s_axi_ctrl_rready = 0;
        return got;
    }

    bool write(uint32_t offset, uint32_t value) {
        top.s_axi_ctrl_awaddr = offset;
        top.s_axi_ctrl_wdata = value;
        top.s_axi_ctrl_wstrb = 15;
        top.s_axi_ctrl_awvalid = top.s_axi_ctrl_wvalid = top.s_axi_ctrl_bready = 1;
        bool got = false;
        for (uint32_t i = 0; i < kAnswer && !got; i++) {
            cycle();
            if (written_address) top.s_axi_ctrl_awvalid = 0;
            if (written_data) top.s_axi_ctrl_wvalid = 0;
            got = answered;
        }
        top.s_axi_ctrl_awvalid = top.s_axi_ctrl_wvalid = top.s_axi_ctrl_bready = 0;
        return got;
    }

    bool doorbell(uint32_t to) {
        head = to;
        return write(offsets.head, to);
    }

    // A cycle of mf_wait().
    void poll() {
        if (poller.state == 0 && poller.gap-- == 0) {
            top.s_axi_ctrl_araddr = offsets.status;
            top.s_axi_ctrl_arvalid = top.s_axi_ctrl_rready = 1;
            poller.state = 1;
            poller.waited = 0;
        }
        cycle();
        if (poller.state == 0) return;
        if (poller.ready) top.s_axi_ctrl_arvalid = 0;
        if (poller.valid) {
            top.s_axi_ctrl_rready = top.s_axi_ctrl_arvalid = 0;
            poller.state = 0;
            poller.gap = kGap;
            if (poller.value & kError) poller.end = kGivenUp;
            else if (!(poller.value & kBusy)) poller.end = kDone;
        } else if (++poller.waited == kAnswer) {
            top.s_axi_ctrl_rready = top.s_axi_ctrl_arvalid = 0;
            poller.end = kNoAnswer;
        }
    }

    void begin_wait() { poller = Poller{}; }

    End wait() {
        begin_wait();
        for (uint32_t i = 0; i < patience && !poller.end; i++) poll();
        return poller.end ? static_cast<End>(poller.end) : kLate;
    }

    // As mf_init(): false if the accelerator does not come to rest.
    bool init() {
        if (!write(offsets.control, kReset)) return false;
        uint32_t status = kBusy;
        for (uint32_t i = 0; i < kQuiet && status & (kBusy | kError); i++)
            if (!read(offsets.status, status)) return false;
        if (status & (kBusy | kError)) return false;
        return write(offsets.base_low, static_cast<uint32_t>(ring)) &&
               write(offsets.base_high, static_cast<uint32_t>(ring >> 32)) && write(offsets.size, size_log) &&
               write(offsets.interrupt_status, 3) && write(offsets.control, kEnable | kClear);
    }
};
