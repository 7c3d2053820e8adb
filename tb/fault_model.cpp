// A Verilated accelerator, a memory, and a driver in which single bits of what is stored are flipped.
//
// One run without a fault, the golden one, is recorded cycle by cycle. An injection begins where that run was, flips a
// bit behind a rising edge, and goes on until it cannot be told from the golden run any more, or to the end.

#include "fault_driver.h"
#include "verilated_syms.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

enum Next : uint8_t { kUnknown, kRight, kWrong, kNextGivenUp, kNextHung };

// What was found of an injection.
struct Outcome {
    uint32_t cycles;     // from the flip to the end
    uint32_t faults;     // what the counter of faults has counted, as no fault is in the golden run
    uint32_t corrected;  // and that of corrected ones
    uint8_t converged;   // the accelerator and its memory became what they are in the golden run
    uint8_t end;         // of the products, see End
    uint8_t cause;       // of an error
    uint8_t wrong;       // a result is
    uint8_t outside;     // something beside the results was written
    uint8_t broken;      // a rule of AXI was
    uint8_t refused;     // an access to a register was answered by an error
    uint8_t lost;        // the tail is not the head that the driver gave, although all is said to be done
    uint8_t next;        // what became of the product after these, see Next
    uint8_t reset;       // what became of one after a reset, if that had to be tried
};

struct Injection {
    uint32_t variable, bit, cycle;
};

struct Variable {
    std::string name;
    uint8_t* data;
    uint32_t bits, words, stride;  // bytes from a word to the next
};

struct Region {
    uint8_t* data;
    size_t bytes, offset;
};

struct Change {
    uint32_t region, at;
    uint64_t value;
    uint32_t bytes;
};

struct Model : Driver {
    std::vector<uint8_t> mask, after, last;  // mask: 1 results, 2 those of the next product; golden memories
    std::vector<Variable> variables;
    std::vector<Region> regions;
    std::vector<std::vector<Change>> changes;  // of the golden run, in each cycle
    std::vector<uint8_t> start, here, ahead;   // what the golden run was: at its start, at an injection, and beyond
    size_t here_cycle = 0, mismatch = 0;
    uint32_t window = 0;
    std::vector<uint8_t> record;  // of the next product
    bool whole = false;

    void collect() {
        for (const auto& item : *context.scopeNameMap()) {
            const VerilatedScope* scope = item.second;
            if (!scope->varsp()) continue;
            // which begins with TOP and the module at the top
            std::string place = scope->name();
            for (int i = 0; i < 2; i++) {
                size_t end = place.find('.');
                place = end == std::string::npos ? "" : place.substr(end + 1);
            }
            if (!place.empty()) place += ".";
            for (auto& each : *scope->varsp()) {
                const VerilatedVar& found = each.second;
                uint32_t words = found.udims() ? found.elements(1) : 1;
                uint32_t bytes = static_cast<uint32_t>(found.entSize());
                variables.push_back({place + found.name(), static_cast<uint8_t*>(found.datap()),
                                     static_cast<uint32_t>(found.entBits()), words, bytes});
            }
        }
    }

    template <typename T>
    void watch(T& what) {
        add(reinterpret_cast<uint8_t*>(&what), sizeof what);
    }

    void add(uint8_t* data, size_t bytes) {
        size_t offset = regions.empty() ? 0 : regions.back().offset + (regions.back().bytes + 7) / 8 * 8;
        regions.push_back({data, bytes, offset});
    }

    void collect_regions() {
        for (const Variable& each : variables) add(each.data, size_t(each.stride) * each.words);
        watch(top.m_axi_arready), watch(top.m_axi_rdata), watch(top.m_axi_rresp), watch(top.m_axi_rlast);
        watch(top.m_axi_rvalid), watch(top.m_axi_awready), watch(top.m_axi_bresp), watch(top.m_axi_bvalid);
        watch(top.s_axi_ctrl_araddr), watch(top.s_axi_ctrl_arvalid), watch(top.s_axi_ctrl_rready);
        watch(top.s_axi_ctrl_awaddr), watch(top.s_axi_ctrl_wdata), watch(top.s_axi_ctrl_wstrb);
        watch(top.s_axi_ctrl_awvalid), watch(top.s_axi_ctrl_wvalid), watch(top.s_axi_ctrl_bready);
        watch(poller), watch(bus);
        add(memory.data(), memory.size());
        start.assign(regions.back().offset + (regions.back().bytes + 7) / 8 * 8, 0);
    }

    void save(std::vector<uint8_t>& to) {
        for (const Region& each : regions) std::memcpy(&to[each.offset], each.data, each.bytes);
    }

    void restore(const std::vector<uint8_t>& from) {
        for (const Region& each : regions) std::memcpy(each.data, &from[each.offset], each.bytes);
    }

    bool equals(const std::vector<uint8_t>& other) {
        const Region& first = regions[mismatch];
        if (std::memcmp(first.data, &other[first.offset], first.bytes)) return false;
        for (size_t i = 0; i < regions.size(); i++)
            if (std::memcmp(regions[i].data, &other[regions[i].offset], regions[i].bytes)) {
                mismatch = i;
                return false;
            }
        return true;
    }

    // What the golden run has changed in this cycle, in `ahead`, which becomes what is now.
    void record_changes() {
        changes.emplace_back();
        for (uint32_t i = 0; i < regions.size(); i++) {
            const Region& each = regions[i];
            if (!std::memcmp(each.data, &ahead[each.offset], each.bytes)) continue;
            for (uint32_t at = 0; at < each.bytes; at += 8) {
                uint32_t bytes = each.bytes - at < 8 ? static_cast<uint32_t>(each.bytes - at) : 8;
                if (!std::memcmp(each.data + at, &ahead[each.offset + at], bytes)) continue;
                Change change{i, at, 0, bytes};
                std::memcpy(&change.value, each.data + at, bytes);
                std::memcpy(&ahead[each.offset + at], each.data + at, bytes);
                changes.back().push_back(change);
            }
        }
    }

    void advance(std::vector<uint8_t>& state, size_t cycle) const {
        for (const Change& each : changes[cycle])
            std::memcpy(&state[regions[each.region].offset + each.at], &each.value, each.bytes);
    }

    // Compare the memory with a golden one: whether a byte differs where the mask is this, or anything but results.
    bool differs(const std::vector<uint8_t>& golden, uint8_t kind) const {
        if (!std::memcmp(memory.data(), golden.data(), memory.size())) return false;
        for (size_t i = 0; i < memory.size(); i++)
            if (mask[i] == kind && memory[i] != golden[i]) return true;
        return false;
    }

    // One product more, with this number: what becomes of it.
    Next another(uint32_t to) {
        if (!doorbell(to)) return kNextHung;
        return judge(wait());
    }

    Next judge(End end) const {
        if (end == kGivenUp) return kNextGivenUp;
        if (end != kDone) return kNextHung;
        return differs(last, 2) ? kWrong : kRight;
    }

    // What the driver does after the products, of which all but one are `count`.
    void go_on(Outcome& outcome, uint32_t count) {
        if (outcome.end == kDone) {
            outcome.next = another(count + 1);
        } else if (outcome.end == kGivenUp) {
            // with each product that is given up one is less
            End end = kGivenUp;
            for (uint32_t i = 0; i < count && end == kGivenUp; i++)
                end = write(offsets.status, kError) ? wait() : kNoAnswer;
            outcome.next = end == kDone ? another(count + 1) : judge(end);
        }
        outcome.outside |= differs(last, 0);
        if (outcome.next != kRight) {
            std::memcpy(memory.data() + (ring - bus.base), record.data(), record.size());
            for (size_t i = 0; i < memory.size(); i++)
                if (mask[i] == 2) memory[i] = 0xA5;
            outcome.reset = init() ? another(1) : kNextHung;
        }
    }

    Outcome inject(const Injection& what, uint32_t count) {
        Outcome outcome{};
        if (what.cycle < here_cycle) {
            here = start;
            here_cycle = 0;
        }
        while (here_cycle < what.cycle) advance(here, here_cycle++);
        restore(recorded() ? start : here);
        ahead = here;
        // waves also show what comes before
        if (recorded())
            for (uint32_t i = 0; i < what.cycle; i++) poll();
        refused = false;
        head = count;
        const Variable& variable = variables[what.variable];
        uint8_t* word = variable.data + size_t(what.bit / variable.bits) * variable.stride;
        uint32_t bit = what.bit % variable.bits;
        word[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
        uint32_t at = what.cycle;
        while (!poller.end && at < patience) {
            poll();
            if (at < window) {
                advance(ahead, at);
                if (!whole && equals(ahead)) {
                    outcome.converged = 1;
                    outcome.end = kDone;
                    outcome.refused = refused;
                    outcome.cycles = at + 1 - what.cycle;
                    return outcome;
                }
            }
            at++;
        }
        outcome.cycles = at - what.cycle;
        outcome.end = static_cast<uint8_t>(poller.end ? poller.end : kLate);
        uint32_t value = 0;
        if (outcome.end == kGivenUp) outcome.cause = read(offsets.cause, value) ? static_cast<uint8_t>(value) : 0;
        if (outcome.end == kDone && read(offsets.tail, value)) outcome.lost = value != count;
        if (~offsets.faults && read(offsets.faults, value)) outcome.faults = value;
        if (~offsets.corrected && read(offsets.corrected, value)) outcome.corrected = value;
        outcome.wrong = differs(after, 1);
        outcome.outside = differs(after, 0);
        go_on(outcome, count);
        outcome.broken = bus.broken != nullptr;
        outcome.refused = refused;
        return outcome;
    }
};

}  // namespace

extern "C" {

Model* fault_open(uint64_t base, uint64_t size, unsigned word_bytes, uint64_t latency, double stalls, uint64_t seed) {
    auto model = std::make_unique<Model>();
    model->context.randReset(2);
    model->context.randSeed(static_cast<int>(seed + 1));
#if VM_TRACE
    model->context.traceEverOn(true);
#endif
    model->memory.resize(size);
    model->bus.open(base, size, word_bytes, latency, stalls, seed);
    model->collect();
    return model.release();
}

void fault_close(Model* model) {
    // what is below frees itself from the last one that was opened otherwise, which may be gone
    Verilated::threadContextp(&model->context);
    model->top.final();
    delete model;
}

uint8_t* fault_memory(Model* model) { return model->memory.data(); }

unsigned fault_variables(const Model* model) { return static_cast<unsigned>(model->variables.size()); }

const char* fault_variable(const Model* model, unsigned index, unsigned* bits, unsigned* words) {
    const Variable& found = model->variables[index];
    *bits = found.bits;
    *words = found.words;
    return found.name.c_str();
}

// The golden run: `count` products, and one more. Returns the cycles until the first ones are done, 0 if they are not.
unsigned fault_golden(Model* model, const Offsets* offsets, unsigned size_log, unsigned count, unsigned patience,
                      const uint8_t* mask, const uint8_t* record, unsigned record_bytes) {
    model->offsets = *offsets;
    model->size_log = size_log;
    model->patience = patience;
    model->ring = model->bus.base;
    model->mask.assign(mask, mask + model->memory.size());
    model->record.assign(record, record + record_bytes);
    model->top.rst = 1;
    model->bus.offer(model->top, model->memory.data());
    model->cycle();
    model->cycle();
    model->top.rst = 0;
    if (!model->init() || !model->doorbell(count)) return 0;
    model->begin_wait();
    model->collect_regions();
    model->save(model->start);
    model->here = model->ahead = model->start;
    while (!model->poller.end && model->window < patience) {
        model->poll();
        model->record_changes();
        model->window++;
    }
    uint32_t tail = 0;
    if (model->poller.end != kDone || !model->read(offsets->tail, tail)) return 0;
    for (uint32_t counter : {offsets->faults, offsets->corrected}) {
        uint32_t counted = 0;
        if (~counter && (!model->read(counter, counted) || counted)) return 0;
    }
    model->after = model->memory;
    if (!model->doorbell(count + 1) || model->wait() != kDone || model->bus.broken) return 0;
    model->last = model->memory;
    return model->window;
}

void fault_memories(const Model* model, uint8_t* after, uint8_t* last) {
    std::memcpy(after, model->after.data(), model->after.size());
    std::memcpy(last, model->last.data(), model->last.size());
}

// Injections, best sorted by their cycles; if `whole`, all go on to the end.
void fault_inject(Model* model, const Injection* what, unsigned number, unsigned count, int whole, Outcome* outcomes) {
    model->whole = whole;
    for (unsigned i = 0; i < number; i++) outcomes[i] = model->inject(what[i], count);
}

// One without a flip from a cycle of the golden run on: whether it stays what it was in every cycle.
int fault_is_repeated(Model* model, unsigned from) {
    model->here = model->start;
    for (unsigned i = 0; i < from; i++) model->advance(model->here, i);
    model->here_cycle = from;
    model->restore(model->here);
    model->ahead = model->here;
    for (unsigned i = from; i < model->window; i++) {
        model->poll();
        model->advance(model->ahead, i);
        if (!model->equals(model->ahead)) return 0;
    }
    return 1;
}

#if VM_TRACE
// From now on; null ends it.
void fault_waves(Model* model, const char* path) {
    if (path) {
        model->waves = std::make_unique<VerilatedVcdC>();
        model->top.trace(model->waves.get(), 99);
        model->waves->open(path);
    } else if (model->waves) {
        model->waves->close();
        model->waves.reset();
    }
}
#endif

}
