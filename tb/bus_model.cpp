// A Verilated accelerator between a memory and whoever writes its registers, as a library of C functions.
//
// Simulated time passes only in the functions below, and there is no callback in between.

#include "bus_memory.h"
#include "verilated.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace {

struct Model {
    VerilatedContext context;
    Vtop top{&context};
    std::vector<uint8_t> memory;
    BusMemory bus;

    void cycle() {
        bus.prepare(top);
        top.clk = 0;
        top.eval();
        bus.take(top, memory.data());
        top.clk = 1;
        top.eval();
        bus.cycles++;
        bus.offer(top, memory.data());
    }
};

}  // namespace

extern "C" {

Model* bus_open(uint64_t base, uint64_t size, unsigned word_bytes, uint64_t latency, double stalls, uint64_t seed,
                const char* plusarg) {
    auto model = std::make_unique<Model>();
    const char* arguments[] = {"model", plusarg};
    model->context.commandArgs(2, arguments);
    model->context.randReset(2);
    model->context.randSeed(static_cast<int>(seed + 1));
    model->memory.resize(size);
    model->bus.open(base, size, word_bytes, latency, stalls, seed);
    model->top.rst = 1;
    model->bus.offer(model->top, model->memory.data());
    model->cycle();
    model->cycle();
    model->top.rst = 0;
    return model.release();
}

void bus_close(Model* model) {
    // what is below frees itself from the last one that was opened otherwise, which may be gone
    Verilated::threadContextp(&model->context);
    model->top.final();
    delete model;
}

uint8_t* bus_memory(Model* model) { return model->memory.data(); }

uint64_t bus_cycles(const Model* model) { return model->bus.cycles; }

int bus_interrupt(const Model* model) { return model->top.irq; }

// The rule of AXI that was broken, or null.
const char* bus_broken(const Model* model) { return model->bus.broken; }

void bus_run(Model* model, uint64_t cycles) {
    while (cycles--) model->cycle();
}

uint32_t bus_read(Model* model, uint32_t offset) {
    auto& top = model->top;
    top.s_axi_ctrl_araddr = offset;
    top.s_axi_ctrl_arvalid = 1;
    top.s_axi_ctrl_rready = 1;
    while (!top.s_axi_ctrl_arready) model->cycle();
    model->cycle();
    top.s_axi_ctrl_arvalid = 0;
    while (!top.s_axi_ctrl_rvalid) model->cycle();
    uint32_t value = top.s_axi_ctrl_rdata;
    if (top.s_axi_ctrl_rresp != kOkay) model->bus.broken = "a register was not read";
    model->cycle();
    top.s_axi_ctrl_rready = 0;
    return value;
}

void bus_write(Model* model, uint32_t offset, uint32_t value) {
    auto& top = model->top;
    top.s_axi_ctrl_awaddr = offset;
    top.s_axi_ctrl_wdata = value;
    top.s_axi_ctrl_wstrb = 15;
    top.s_axi_ctrl_awvalid = top.s_axi_ctrl_wvalid = 1;
    top.s_axi_ctrl_bready = 1;
    while (!top.s_axi_ctrl_awready || !top.s_axi_ctrl_wready) model->cycle();
    model->cycle();
    top.s_axi_ctrl_awvalid = top.s_axi_ctrl_wvalid = 0;
    while (!top.s_axi_ctrl_bvalid) model->cycle();
    if (top.s_axi_ctrl_bresp != kOkay) model->bus.broken = "a register was not written";
    model->cycle();
    top.s_axi_ctrl_bready = 0;
}

}
