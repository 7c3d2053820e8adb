// A Verilated board top between two ends of a serial line, as a library of C functions: bytes in, bytes out.
//
// Both ends go bit by bit, at the board's own number of cycles for each. Simulated time passes only in board_run.

#include "Vtop.h"
#include "verilated.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

namespace {

// What is put onto the line: a start bit, eight bits, a stop bit.
struct Sender {
    std::deque<uint8_t> bytes;
    unsigned bits = 0, left = 0, cycles = 0;

    bool idle() const { return !left && bytes.empty(); }

    bool level(unsigned divisor) {
        if (!left && !bytes.empty()) {
            bits = 0x200u | unsigned(bytes.front()) << 1;
            bytes.pop_front();
            left = 10;
            cycles = divisor;
        }
        if (!left) return true;
        bool now = bits & 1;
        if (--cycles == 0) {
            cycles = divisor;
            bits >>= 1;
            left--;
        }
        return now;
    }
};

// What is taken off the line, each bit in its middle.
struct Receiver {
    std::deque<uint8_t> bytes;
    unsigned bits = 0, place = 0, cycles = 0, broken = 0;
    bool busy = false;

    void see(bool level, unsigned divisor) {
        if (!busy) {
            busy = !level;
            place = 0;
            cycles = divisor / 2;
            return;
        }
        if (--cycles) return;
        cycles = divisor;
        if (place == 0 && level) {
            busy = false;
        } else if (place == 9) {
            busy = false;
            if (level) bytes.push_back(uint8_t(bits)); else broken++;
        } else if (place) {
            bits = (bits >> 1 & 0x7F) | unsigned(level) << 7;
        }
        place++;
    }
};

struct Model {
    VerilatedContext context;
    Vtop top{&context};
    Sender sender;
    Receiver receiver;
    uint64_t cycles = 0;
    unsigned divisor;

    void cycle() {
        top.clk = 0;
        top.eval();
        top.clk = 1;
        top.eval();
        cycles++;
        receiver.see(top.tx, divisor);
        top.rx = sender.level(divisor);
    }
};

}  // namespace

extern "C" {

Model* board_open(unsigned divisor, uint64_t seed) {
    auto model = std::make_unique<Model>();
    model->context.randReset(2);
    model->context.randSeed(static_cast<int>(seed + 1));
    model->divisor = divisor;
    model->top.rst = 1;
    model->top.rx = 1;
    for (int i = 0; i < 2; i++) {
        model->top.clk = 0;
        model->top.eval();
        model->top.clk = 1;
        model->top.eval();
    }
    model->top.rst = 0;
    return model.release();
}

void board_close(Model* model) {
    // what is below frees itself from the last one that was opened otherwise, which may be gone
    Verilated::threadContextp(&model->context);
    model->top.final();
    delete model;
}

uint64_t board_cycles(const Model* model) { return model->cycles; }

unsigned board_leds(const Model* model) { return model->top.led; }

// Bytes from the board without a stop bit.
unsigned board_broken(const Model* model) { return model->receiver.broken; }

void board_send(Model* model, const uint8_t* bytes, size_t count) {
    model->sender.bytes.insert(model->sender.bytes.end(), bytes, bytes + count);
}

// Whether the line to the board and that from it are still.
int board_still(const Model* model) { return model->sender.idle() && !model->receiver.busy; }

void board_run(Model* model, uint64_t cycles) {
    while (cycles--) model->cycle();
}

// Takes so many bytes at most; says how many.
size_t board_take(Model* model, uint8_t* bytes, size_t most) {
    auto& from = model->receiver.bytes;
    size_t count = 0;
    for (; count < most && !from.empty(); count++) {
        bytes[count] = from.front();
        from.pop_front();
    }
    return count;
}

}
