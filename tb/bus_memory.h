// A memory behind the bus of a Verilated accelerator.
//
// It answers a burst after a latency, in order, a word a cycle; each channel stalls at random where asked to. All of it
// but the bytes themselves is plain data, which may be copied and compared.

#pragma once

#include "Vtop.h"

#include <cstdint>
#include <cstring>

constexpr uint8_t kOkay = 0, kSlaveError = 2;
constexpr uint8_t kIncrementing = 1, kBuffered = 3;

struct Burst {
    uint64_t due;
    uint64_t address;  // of the next word
    uint32_t left;     // words
    uint32_t good;     // whether none was beyond the memory
};

// Bursts in their order; an empty queue is always the same bytes, but for what was in it.
struct Bursts {
    static constexpr uint32_t kMost = 256;
    Burst items[kMost];
    uint32_t head, count;

    bool empty() const { return count == 0; }
    bool full() const { return count == kMost; }
    Burst& front() { return items[head]; }
    void push(const Burst& burst) { items[(head + count++) % kMost] = burst; }
    void pop() {
        items[head] = Burst{};
        head = --count ? (head + 1) % kMost : 0;
    }
};

struct BusMemory {
    uint64_t base, size, latency, cycles, random;
    uint32_t stall;  // of 2^32
    uint32_t word_bytes;
    Bursts reads, writes, answers;
    const char* broken;  // a rule of AXI that was broken, or null
    uint64_t held_read, held_write;
    bool read_waits, write_waits, read_taken, answer_taken;

    void open(uint64_t base_, uint64_t size_, unsigned word_bytes_, uint64_t latency_, double stalls_, uint64_t seed) {
        std::memset(static_cast<void*>(this), 0, sizeof *this);
        base = base_;
        size = size_;
        latency = latency_;
        stall = static_cast<uint32_t>(stalls_ * 4294967295.0);
        random = seed;
        word_bytes = word_bytes_;
    }

    // Before the falling edge: what is ready for a word.
    void prepare(Vtop& top) { top.m_axi_wready = !writes.empty() && !answers.full() && !stalls(); }

    // Before the rising edge: what is taken and given, by what stands on the bus.
    void take(Vtop& top, uint8_t* memory) {
        watch(top);
        read_taken = top.m_axi_rvalid && top.m_axi_rready;
        answer_taken = top.m_axi_bvalid && top.m_axi_bready;
        if (top.m_axi_arvalid && top.m_axi_arready) {
            unsigned words = top.m_axi_arlen + 1u;
            check(top.m_axi_araddr, words);
            reads.push({cycles + latency, top.m_axi_araddr, words, 1});
        }
        if (read_taken) {
            Burst& burst = reads.front();
            burst.address += word_bytes;
            if (--burst.left == 0) reads.pop();
        }
        if (top.m_axi_awvalid && top.m_axi_awready) {
            check(top.m_axi_awaddr, top.m_axi_awlen + 1u);
            writes.push({0, top.m_axi_awaddr, top.m_axi_awlen + 1u, 1});
        }
        if (answer_taken) answers.pop();
        if (top.m_axi_wvalid && top.m_axi_wready) store(top, memory);
    }

    // After the rising edge: what stands on the bus for the next one; what is valid stays until it is taken.
    void offer(Vtop& top, const uint8_t* memory) {
        bool read = !reads.empty() && reads.front().due <= cycles;
        if (!(top.m_axi_rvalid && !read_taken)) read = read && !stalls();
        top.m_axi_rvalid = read;
        if (read) {
            const Burst& burst = reads.front();
            bool good = within(burst.address);
            if (good) std::memcpy(&top.m_axi_rdata, memory + (burst.address - base), word_bytes);
            top.m_axi_rresp = good ? kOkay : kSlaveError;
            top.m_axi_rlast = burst.left == 1;
        }
        bool answer = !answers.empty() && answers.front().due <= cycles;
        if (!(top.m_axi_bvalid && !answer_taken)) answer = answer && !stalls();
        top.m_axi_bvalid = answer;
        if (answer) top.m_axi_bresp = answers.front().good ? kOkay : kSlaveError;
        top.m_axi_arready = !stalls() && !reads.full();
        top.m_axi_awready = !stalls() && !writes.full();
    }

private:
    bool stalls() {
        if (!stall) return false;
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<uint32_t>(random >> 32) < stall;
    }

    // also at the end of the address space
    bool within(uint64_t address) const { return address >= base && address - base + word_bytes <= size; }

    void watch(Vtop& top) {
        // A3.2.1: an address stays until it is taken
        if (read_waits && (!top.m_axi_arvalid || top.m_axi_araddr != held_read)) broken = "ARADDR changed";
        if (write_waits && (!top.m_axi_awvalid || top.m_axi_awaddr != held_write)) broken = "AWADDR changed";
        // A3.4.1, A4.4, A4.7: bursts of words whose addresses go up, of normal memory that may be buffered
        unsigned size = 0;
        while ((1u << size) < word_bytes) size++;
        if (top.m_axi_arvalid && (top.m_axi_arsize != size || top.m_axi_arburst != kIncrementing))
            broken = "a read is no burst of words";
        if (top.m_axi_awvalid && (top.m_axi_awsize != size || top.m_axi_awburst != kIncrementing))
            broken = "a write is no burst of words";
        if (top.m_axi_arvalid &&
            (top.m_axi_arcache != kBuffered || top.m_axi_arprot || top.m_axi_arlock || top.m_axi_arid))
            broken = "a read is not of normal memory";
        if (top.m_axi_awvalid &&
            (top.m_axi_awcache != kBuffered || top.m_axi_awprot || top.m_axi_awlock || top.m_axi_awid))
            broken = "a write is not to normal memory";
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

    void store(Vtop& top, uint8_t* memory) {
        Burst& burst = writes.front();
        const uint8_t* data = reinterpret_cast<const uint8_t*>(&top.m_axi_wdata);
        burst.good = burst.good && within(burst.address);
        if (within(burst.address))
            for (unsigned i = 0; i < word_bytes; i++)
                if (top.m_axi_wstrb >> i & 1) memory[burst.address - base + i] = data[i];
        burst.address += word_bytes;
        burst.left--;
        if (bool(top.m_axi_wlast) != (burst.left == 0)) broken = "WLAST is not at the burst's end";
        if (burst.left == 0) {
            answers.push({cycles + latency, 0, 0, burst.good});
            writes.pop();
        }
    }
};
