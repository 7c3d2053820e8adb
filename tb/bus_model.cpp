// A Verilated accelerator between a memory and whoever writes its registers, as a library of C functions.
//
// The memory answers a burst after a latency, in order, a word a cycle; each channel stalls at random where asked to.
// Simulated time passes only in the functions below, and there is no callback in between.

#include "Vtop.h"
#include "verilated.h"

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

namespace {

constexpr uint8_t kOkay = 0, kSlaveError = 2;

struct Word {
    uint64_t due;
    uint64_t address;
    bool last;
    bool good;
};

struct Model {
    VerilatedContext context;
    Vtop top{&context};
    std::vector<uint8_t> memory;
    uint64_t base, latency, cycles = 0, random;
    uint32_t stall;  // of 2^32
    unsigned word_bytes;
    std::deque<Word> reads;
    std::deque<Word> writes;  // bursts: where the next word goes
    std::deque<Word> answers;
    const char* broken = nullptr;  // a rule of AXI that was broken
    uint64_t held_read = 0, held_write = 0;
    bool read_waits = false, write_waits = false;

    bool stalls() {
        if (!stall) return false;
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<uint32_t>(random >> 32) < stall;
    }

    bool within(uint64_t address) const {
        return address >= base && address + word_bytes <= base + memory.size();
    }

    void watch() {
        // A3.2.1: an address stays until it is taken
        if (read_waits && (!top.m_axi_arvalid || top.m_axi_araddr != held_read)) broken = "ARADDR changed";
        if (write_waits && (!top.m_axi_awvalid || top.m_axi_awaddr != held_write)) broken = "AWADDR changed";
        held_read = top.m_axi_araddr;
        held_write = top.m_axi_awaddr;
        read_waits = top.m_axi_arvalid && !top.m_axi_arready;
        write_waits = top.m_axi_awvalid && !top.m_axi_awready;
    }

    void check(uint64_t address, unsigned words) {
        // A3.4.1
        if ((address & 4095) + words * word_bytes > 4096) broken = "a burst crosses 4 KiB";
        if (address % word_bytes) broken = "an address is not that of a word";
    }

    // What the memory has taken and given at a rising edge, by what stood on the bus before it.
    void settle() {
        if (top.m_axi_arvalid && top.m_axi_arready) {
            unsigned words = top.m_axi_arlen + 1u;
            check(top.m_axi_araddr, words);
            for (unsigned i = 0; i < words; i++) {
                uint64_t address = top.m_axi_araddr + uint64_t(i) * word_bytes;
                reads.push_back({cycles + latency, address, i + 1 == words, within(address)});
            }
        }
        if (top.m_axi_rvalid && top.m_axi_rready) reads.pop_front();
        if (top.m_axi_awvalid && top.m_axi_awready) {
            check(top.m_axi_awaddr, top.m_axi_awlen + 1u);
            writes.push_back({top.m_axi_awlen + 1ull, top.m_axi_awaddr, false, true});
        }
        if (top.m_axi_bvalid && top.m_axi_bready) answers.pop_front();
        if (top.m_axi_wvalid && top.m_axi_wready) store();
    }

    void store() {
        Word& burst = writes.front();
        const uint8_t* data = reinterpret_cast<const uint8_t*>(&top.m_axi_wdata);
        burst.good = burst.good && within(burst.address);
        if (within(burst.address))
            for (unsigned i = 0; i < word_bytes; i++)
                if (top.m_axi_wstrb >> i & 1) memory[burst.address - base + i] = data[i];
        burst.address += word_bytes;
        burst.due--;
        if (bool(top.m_axi_wlast) != (burst.due == 0)) broken = "WLAST is not at the burst's end";
        if (burst.due == 0) {
            answers.push_back({cycles + latency, 0, true, burst.good});
            writes.pop_front();
        }
    }

    // What the memory puts on the bus for the next edge; what is valid stays until it is taken.
    void offer(bool read_taken, bool answer_taken) {
        bool read = !reads.empty() && reads.front().due <= cycles;
        if (!(top.m_axi_rvalid && !read_taken)) read = read && !stalls();
        top.m_axi_rvalid = read;
        if (read) {
            const Word& word = reads.front();
            if (word.good) std::memcpy(&top.m_axi_rdata, &memory[word.address - base], word_bytes);
            top.m_axi_rresp = word.good ? kOkay : kSlaveError;
            top.m_axi_rlast = word.last;
        }
        bool answer = !answers.empty() && answers.front().due <= cycles;
        if (!(top.m_axi_bvalid && !answer_taken)) answer = answer && !stalls();
        top.m_axi_bvalid = answer;
        if (answer) top.m_axi_bresp = answers.front().good ? kOkay : kSlaveError;
        top.m_axi_arready = !stalls();
        top.m_axi_awready = !stalls();
    }

    void cycle() {
        top.m_axi_wready = !writes.empty() && !stalls();
        top.clk = 0;
        top.eval();
        // a word may come with its address, or after it
        watch();
        bool read_taken = top.m_axi_rvalid && top.m_axi_rready;
        bool answer_taken = top.m_axi_bvalid && top.m_axi_bready;
        settle();
        top.clk = 1;
        top.eval();
        cycles++;
        offer(read_taken, answer_taken);
    }
};

}  // namespace

extern "C" {

Model* bus_open(uint64_t base, uint64_t size, unsigned word_bytes, uint64_t latency, double stalls, uint64_t seed) {
    auto model = std::make_unique<Model>();
    model->context.randReset(2);
    model->context.randSeed(static_cast<int>(seed + 1));
    model->memory.resize(size);
    model->base = base;
    model->latency = latency;
    model->stall = static_cast<uint32_t>(stalls * 4294967295.0);
    model->random = seed;
    model->word_bytes = word_bytes;
    model->top.rst = 1;
    model->offer(false, false);
    model->cycle();
    model->cycle();
    model->top.rst = 0;
    return model.release();
}

void bus_close(Model* model) {
    model->top.final();
    delete model;
}

uint8_t* bus_memory(Model* model) { return model->memory.data(); }

uint64_t bus_cycles(const Model* model) { return model->cycles; }

int bus_interrupt(const Model* model) { return model->top.irq; }

// The rule of AXI that was broken, or null.
const char* bus_broken(const Model* model) { return model->broken; }

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
    model->cycle();
    top.s_axi_ctrl_bready = 0;
}

}
