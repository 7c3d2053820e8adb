// Plays stimuli to Verilated hardware, and stops at the first difference from what is expected.
//
// The hardware has the ports clk, rst, inputs and outputs: all inputs side by side, and all outputs. Simulated time
// passes only in the functions below, and none of them can go on forever.

#include "Vtop.h"
#include "verilated.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace {

enum Failure { kRight, kDiffers, kCycles, kStuck, kUnsettled, kLeft, kFlag };

struct Model {
    VerilatedContext context;
    std::unique_ptr<Vtop> top;
    uint64_t random = 1;

    uint8_t* inputs() { return reinterpret_cast<uint8_t*>(&top->inputs); }
    const uint8_t* outputs() { return reinterpret_cast<const uint8_t*>(&top->outputs); }

    void settle() {
        top->clk = 0;
        top->eval();
    }

    void edge() {
        top->clk = 1;
        top->eval();
        settle();
    }

    bool stalls(uint32_t of) {
        if (!of) return false;
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<uint32_t>(random >> 32) < of;
    }

    bool output(uint32_t bit) { return outputs()[bit / 8] >> bit % 8 & 1; }

    void drive(uint32_t bit, bool value) {
        uint8_t mask = 1u << bit % 8;
        inputs()[bit / 8] = value ? inputs()[bit / 8] | mask : inputs()[bit / 8] & ~mask;
    }
};

// A stream's beats, each in whole bytes, and where its wires are among inputs and outputs.
struct Stream {
    const uint8_t* beats;
    const uint8_t* counted;  // of results: which bits are said
    uint64_t count;
    uint32_t payload, bits, valid, ready;
};

struct Source {
    const Stream& stream;
    uint64_t taken = 0;
    bool offered = false, taking = false;

    bool step(Model& model, uint32_t stall) {
        if (taking) taken++, offered = false;
        if (!offered) {
            offered = taken < stream.count && !model.stalls(stall);
            model.drive(stream.valid, offered);
            const uint8_t* beat = stream.beats + taken * ((stream.bits + 7) / 8);
            for (uint32_t i = 0; offered && i < stream.bits; i++)
                model.drive(stream.payload + i, beat[i / 8] >> i % 8 & 1);
        }
        taking = offered && model.output(stream.ready);
        return taking;
    }

    bool settled(Model& model) const { return taking == (offered && model.output(stream.ready)); }
};

struct Sink {
    const Stream& stream;
    uint64_t taken = 0;
    bool seen = false, differs = false;

    bool step(Model& model, uint32_t stall) {
        bool ready = !model.stalls(stall);
        model.drive(stream.ready, ready);
        seen = model.output(stream.valid);
        if (!(ready && seen)) return false;
        uint64_t at = taken++ * ((stream.bits + 7) / 8);
        for (uint32_t i = 0; i < stream.bits; i++) {
            bool wrong = model.output(stream.payload + i) != (stream.beats[at + i / 8] >> i % 8 & 1);
            differs = differs || (wrong && (stream.counted[at + i / 8] >> i % 8 & 1));
        }
        return true;
    }

    bool settled(Model& model) const { return seen == model.output(stream.valid); }
};

}  // namespace

extern "C" {

Model* player_open(const char* argument, uint64_t seed) {
    auto model = std::make_unique<Model>();
    const char* arguments[] = {"player", argument};
    model->context.commandArgs(2, arguments);
    model->context.randReset(2);
    model->context.randSeed(static_cast<int>(seed + 1));
    model->random = seed + 1;
    model->top = std::make_unique<Vtop>(&model->context);
    std::memset(model->inputs(), 0, sizeof(model->top->inputs));
    model->top->rst = 0;
    model->settle();
    return model.release();
}

void player_close(Model* model) {
    // what is below frees itself from the last one that was opened otherwise, which may be gone
    Verilated::threadContextp(&model->context);
    model->top->final();
    delete model;
}

void player_reset(Model* model) {
    model->top->rst = 1;
    model->edge();
    model->top->rst = 0;
    model->settle();
}

// A row of bytes for each cycle; the first cycle in which an output is wrong, or -1.
int64_t player_timetable(Model* model, uint64_t cycles, const uint8_t* reset, const uint8_t* inputs, uint64_t in_bytes,
                         const uint8_t* expected, const uint8_t* counted, uint64_t out_bytes) {
    for (uint64_t cycle = 0; cycle < cycles; cycle++) {
        for (uint64_t i = 0; i < out_bytes; i++) {
            uint64_t at = cycle * out_bytes + i;
            if ((model->outputs()[i] ^ expected[at]) & counted[at]) return static_cast<int64_t>(cycle);
        }
        std::memcpy(model->inputs(), inputs + cycle * in_bytes, in_bytes);
        model->top->rst = reset[cycle];
        model->settle();
        model->edge();
    }
    return -1;
}

// One product, as tb.engine_bench runs it: the command is the first stream. With `most`, give up after so many cycles.
int player_product(Model* model, const Stream* streams, uint32_t count, const Stream* results, double stalls,
                   uint64_t most, uint64_t cycles, uint64_t patience, int64_t flag, int flagged) {
    uint32_t stall = static_cast<uint32_t>(stalls * 4294967295.0);
    std::vector<Source> sources;
    for (uint32_t i = 0; i < count; i++) sources.push_back({streams[i]});
    Sink sink{*results};
    uint64_t cycle = 0, ended = 0, idle = 0;
    int64_t started = -1;
    while (sink.taken < results->count && !(most && cycle == most)) {
        bool commanded = sources[0].step(*model, stall), moved = commanded;
        // how many parameters come in while a command waits is no part of the cycles from there on
        if (stall || commanded || started >= 0)
            for (uint32_t i = 1; i < count; i++) moved = sources[i].step(*model, stall) || moved;
        moved = sink.step(*model, stall) || moved;
        if (sink.differs && !most) return kDiffers;
        model->settle();
        if (stall) {
            if (!sink.settled(*model)) return kUnsettled;
            for (const Source& source : sources)
                if (!source.settled(*model)) return kUnsettled;
        }
        idle = moved ? 0 : idle + 1;
        if (idle >= patience) return kStuck;
        if (commanded) started = static_cast<int64_t>(cycle);
        ended = cycle++;
        model->edge();
    }
    for (Source& source : sources) {
        source.taken += source.taking;
        model->drive(source.stream.valid, false);
    }
    model->drive(results->ready, false);
    model->settle();
    if (most) return kRight;
    for (const Source& source : sources)
        if (source.taken != source.stream.count) return kLeft;
    if (flag >= 0 && model->output(static_cast<uint32_t>(flag)) != (flagged != 0)) return kFlag;
    if (!stall && ended - (started < 0 ? 0 : started) + 1 != cycles) return kCycles;
    return kRight;
}

}
