// Every state that a circuit with streams can reach, whatever its streams do in every cycle.
//
// A circuit is a list of gates and registers. Its signals have one of three values: 0, 1, or not known, which is also
// what data are, so that nothing that is checked depends on them. 64 states are evaluated at a time, a word of bits for
// "can be 1" and one for "can be 0" of each signal. A state is what all registers hold, how many beats of each stream
// have been taken, and which case it belongs to; all states are kept, and each is expanded once.

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace {

constexpr unsigned kLanes = 64;
constexpr uint64_t kAll = ~uint64_t(0);
constexpr uint32_t kNone = ~uint32_t(0);
constexpr uint32_t kZero = 0, kOne = 1, kUnknown = 2;  // signals

enum Kind : uint8_t { kOperand, kLimited, kResult };
enum Fault : uint32_t { kFine, kFull, kNotKnown, kTooMany, kWrongLast, kWithdrawn, kStuck };

// The same in Python, see tb/formal/reach.py.
struct Circuit {
    uint32_t signals, gates, registers, streams, reset, last, payload_bits, cases, products;
    const uint32_t* gate;        // of each: output, and two inputs; the second is ~0 for a gate that inverts
    const uint32_t* held;        // of each register: its signal, and that of what it holds next
    const uint32_t* valid;       // of each stream, the command first
    const uint32_t* ready;
    const uint8_t* kind;
    const uint8_t* stalls;       // whether it may stall, or never does
    const uint32_t* payload;     // signals of the command's payload
    const uint8_t* commands;     // of each case, product and bit
    const uint16_t* expected;    // of each case and stream: beats of all products
    const uint16_t* last_beats;  // of each case and product: beats of results with it
};

struct Found {
    uint64_t states, transitions;
    uint32_t levels, longest;  // cycles from reset to the last new state; most cycles to the end once nothing stalls
    uint32_t fault, stream, state;
};

struct Value {
    uint64_t one, zero;  // of each lane, whether it can be so
};

// Rows become columns.
void transpose(uint64_t* rows) {
    uint64_t mask = 0x00000000FFFFFFFFull;
    for (unsigned size = 32; size; size >>= 1, mask ^= mask << size)
        for (unsigned i = 0; i < kLanes; i = (i + size + 1) & ~size) {
            uint64_t moved = ((rows[i] >> size) ^ rows[i + size]) & mask;
            rows[i] ^= moved << size;
            rows[i + size] ^= moved;
        }
}

class Reach {
public:
    Reach(const Circuit& circuit, uint64_t most)
        : c(circuit), most_(most), planes((2 * c.registers + 63) / 64), width(planes + (c.streams + 7 + 7) / 8) {
        values.resize(c.signals);
        lanes.resize(planes * kLanes);
        table.assign(1 << 12, kNone);
        values[kZero] = {0, kAll};
        values[kOne] = {kAll, 0};
        values[kUnknown] = {kAll, kAll};
    }

    Found run() {
        start();
        for (uint32_t begin = 0, end = count(); begin < end && !found.fault; begin = end, end = count()) {
            for (uint32_t at = begin; at < end && !found.fault; at += kLanes)
                expand(at, end - at < kLanes ? end - at : kLanes);
            found.levels += count() > end;
        }
        if (!found.fault) finish();
        found.states = count();
        return found;
    }

    // Cycles from the one in which the first command of a case is taken to that of its last result, if nothing stalls.
    uint32_t cycles(uint32_t index) const {
        uint32_t at = index;
        while (!beats(after[at], 0)) at = after[at];
        return distance[at];
    }

    // What was offered in each cycle on the way to a state, the first cycle first; returns how many there are.
    uint32_t trace(uint32_t state, uint32_t* offers, uint32_t room) const {
        uint32_t length = 0;
        for (uint32_t at = state; parent[at] != kNone; at = parent[at]) length++;
        uint32_t index = length;
        for (uint32_t at = state; parent[at] != kNone; at = parent[at])
            if (--index < room) offers[index] = offered[at];
        return length;
    }

    uint32_t case_of(uint32_t state) const {
        uint16_t index;
        std::memcpy(&index, extra(state), 2);
        return index;
    }

    unsigned beats(uint32_t state, unsigned stream) const { return extra(state)[kCounts + stream]; }

private:
    // Behind the registers of a state: its case, whether a result waits and is the last, and counts of beats.
    static constexpr unsigned kWaits = 2, kCounts = 3;

    Circuit c;
    uint64_t most_;
    unsigned planes, width;  // words of registers, and of a state
    std::vector<Value> values;
    std::vector<uint64_t> lanes, states;
    std::vector<uint32_t> table, parent, offered, after, distance;
    Found found{};

    uint32_t count() const { return static_cast<uint32_t>(parent.size()); }
    const uint8_t* extra(uint32_t state) const {
        return reinterpret_cast<const uint8_t*>(&states[size_t(state) * width + planes]);
    }
    unsigned expected(const uint8_t* more, unsigned stream) const {
        uint16_t index;
        std::memcpy(&index, more, 2);
        return c.expected[index * c.streams + stream];
    }

    void set(uint32_t signal, Value value) {
        if (signal > kUnknown) values[signal] = value;
    }

    void evaluate() {
        for (uint32_t i = 0; i < c.gates; i++) {
            const uint32_t* gate = c.gate + 3 * i;
            const Value a = values[gate[1]];
            if (gate[2] == kNone) {
                values[gate[0]] = {a.zero, a.one};
            } else {
                const Value b = values[gate[2]];
                values[gate[0]] = {a.one & b.one, a.zero | b.zero};
            }
        }
    }

    void load(uint32_t first, unsigned number) {
        for (unsigned plane = 0; plane < planes; plane++) {
            uint64_t* rows = &lanes[plane * kLanes];
            for (unsigned lane = 0; lane < kLanes; lane++)
                rows[lane] = states[size_t(first + (lane < number ? lane : 0)) * width + plane];
            transpose(rows);
        }
        for (uint32_t i = 0; i < c.registers; i++) set(c.held[2 * i], {lanes[i], lanes[c.registers + i]});
    }

    // What registers hold next, lane by lane.
    void store() {
        std::fill(lanes.begin(), lanes.end(), 0);
        for (uint32_t i = 0; i < c.registers; i++) {
            lanes[i] = values[c.held[2 * i + 1]].one;
            lanes[c.registers + i] = values[c.held[2 * i + 1]].zero;
        }
        for (unsigned plane = 0; plane < planes; plane++) transpose(&lanes[plane * kLanes]);
    }

    // Commands of the lanes, each the next one of its case; not known behind the last.
    void command(uint32_t first, unsigned number) {
        for (uint32_t bit = 0; bit < c.payload_bits; bit++) {
            Value value{0, 0};
            for (unsigned lane = 0; lane < number; lane++) {
                unsigned product = extra(first + lane)[kCounts];
                bool known = product < c.products;
                uint64_t at = (uint64_t(case_of(first + lane)) * c.products + product) * c.payload_bits + bit;
                bool one = known && c.commands[at];
                value.one |= uint64_t(one || !known) << lane;
                value.zero |= uint64_t(!one) << lane;
            }
            set(c.payload[bit], value);
        }
    }

    // States of all cases, after a cycle of reset in which nothing else is known.
    void start() {
        for (Value& value : values) value = values[kUnknown];
        values[kZero] = {0, kAll};
        values[kOne] = {kAll, 0};
        set(c.reset, values[kOne]);
        evaluate();
        store();
        std::vector<uint64_t> state(width);
        for (unsigned plane = 0; plane < planes; plane++) state[plane] = lanes[plane * kLanes];
        for (uint32_t index = 0; index < c.cases; index++) {
            uint16_t number = static_cast<uint16_t>(index);
            std::memcpy(&state[planes], &number, 2);
            insert(state.data(), kNone, 0);
        }
        set(c.reset, values[kZero]);
    }

    void expand(uint32_t first, unsigned number) {
        load(first, number);
        command(first, number);
        for (unsigned s = 0; s < c.streams; s++) set(c.kind[s] == kResult ? c.ready[s] : c.valid[s], values[kUnknown]);
        evaluate();
        std::vector<uint64_t> answers(c.streams);
        for (unsigned s = 0; s < c.streams; s++) {
            const Value answer = values[c.kind[s] == kResult ? c.valid[s] : c.ready[s]];
            answers[s] = answer.one;
            for (unsigned lane = 0; lane < number; lane++)
                if (answer.one >> lane & answer.zero >> lane & 1) return fail(kNotKnown, s, first + lane);
        }
        const Value last = values[c.last];
        for (unsigned lane = 0; lane < number; lane++)
            if (!check(first + lane, answers, lane, last)) return;
        for (uint32_t offer = 0; offer < 1u << c.streams; offer++)
            if (allowed(offer)) advance(first, number, offer, answers, last);
    }

    // What holds of the outputs in a state.
    bool check(uint32_t state, const std::vector<uint64_t>& answers, unsigned lane, Value last) {
        const uint8_t* more = extra(state);
        for (unsigned s = 0; s < c.streams; s++) {
            bool answer = answers[s] >> lane & 1;
            if (c.kind[s] != kLimited && answer && more[kCounts + s] >= expected(more, s)) {
                fail(kTooMany, s, state);
                return false;
            }
            if (c.kind[s] != kResult) continue;
            bool one = last.one >> lane & 1, zero = last.zero >> lane & 1;
            if ((more[kWaits] & 1) && (!answer || one != (more[kWaits] >> 1 & 1))) {
                fail(kWithdrawn, s, state);
                return false;
            }
            if (!answer) continue;
            bool right = false;
            for (uint32_t product = 0; product < c.products; product++)
                right |= c.last_beats[case_of(state) * c.products + product] == more[kCounts + s] + 1;
            if (one == zero || one != right) {
                fail(one == zero ? kNotKnown : kWrongLast, s, state);
                return false;
            }
        }
        return true;
    }

    // Streams that never stall always offer.
    bool allowed(uint32_t offer) const {
        for (unsigned s = 0; s < c.streams; s++)
            if (!c.stalls[s] && !(offer >> s & 1)) return false;
        return true;
    }

    // All lanes with what the bits of `offer` say of their streams.
    void advance(uint32_t first, unsigned number, uint32_t offer, const std::vector<uint64_t>& answers, Value last) {
        uint64_t counts = number < kLanes ? (uint64_t(1) << number) - 1 : kAll;
        for (unsigned s = 0; s < c.streams; s++) {
            uint64_t there = offer >> s & 1 ? kAll : 0;
            if (c.kind[s] == kLimited && there)
                for (unsigned lane = 0; lane < number; lane++) {
                    const uint8_t* more = extra(first + lane);
                    if (more[kCounts + s] < expected(more, s)) continue;
                    // as where it does not offer
                    there &= ~(uint64_t(1) << lane);
                    if (c.stalls[s]) counts &= ~(uint64_t(1) << lane);
                }
            set(c.kind[s] == kResult ? c.ready[s] : c.valid[s], {there, ~there});
        }
        bool nothing_stalls = offer == (1u << c.streams) - 1;
        if (!counts && !nothing_stalls) return;
        evaluate();
        store();
        std::vector<uint64_t> state(width);
        for (unsigned lane = 0; lane < number && !found.fault; lane++) {
            if (!nothing_stalls && !(counts >> lane & 1)) continue;
            for (unsigned plane = 0; plane < planes; plane++) state[plane] = lanes[plane * kLanes + lane];
            std::memcpy(&state[planes], extra(first + lane), (width - planes) * 8);
            uint8_t* more = reinterpret_cast<uint8_t*>(&state[planes]);
            more[kWaits] = 0;
            for (unsigned s = 0; s < c.streams; s++) {
                bool answer = answers[s] >> lane & 1, offers = offer >> s & 1;
                if (c.kind[s] == kLimited) offers = offers && more[kCounts + s] < expected(more, s);
                more[kCounts + s] = static_cast<uint8_t>(more[kCounts + s] + (answer && offers));
                if (c.kind[s] == kResult && answer && !offers) more[kWaits] = 1 | (last.one >> lane & 1) << 1;
            }
            found.transitions++;
            uint32_t index = insert(state.data(), first + lane, offer);
            if (nothing_stalls) after[first + lane] = index;
        }
    }

    static uint64_t hash(const uint64_t* state, unsigned words) {
        uint64_t h = 0x9E3779B97F4A7C15ull;
        for (unsigned i = 0; i < words; i++) {
            h = (h ^ state[i]) * 0xD6E8FEB86659FD93ull;
            h ^= h >> 32;
        }
        return h;
    }

    uint32_t insert(const uint64_t* state, uint32_t from, uint32_t offer) {
        if (size_t(count()) * 2 >= table.size()) grow();
        size_t at = hash(state, width) & (table.size() - 1);
        while (table[at] != kNone) {
            if (!std::memcmp(&states[size_t(table[at]) * width], state, width * 8)) return table[at];
            at = (at + 1) & (table.size() - 1);
        }
        if (count() >= most_) {
            fail(kFull, 0, from);
            return kNone;
        }
        table[at] = count();
        states.insert(states.end(), state, state + width);
        parent.push_back(from);
        offered.push_back(offer);
        after.push_back(kNone);
        return table[at];
    }

    void grow() {
        table.assign(table.size() * 2, kNone);
        for (uint32_t index = 0; index < count(); index++) {
            size_t at = hash(&states[size_t(index) * width], width) & (table.size() - 1);
            while (table[at] != kNone) at = (at + 1) & (table.size() - 1);
            table[at] = index;
        }
    }

    void fail(Fault fault, unsigned stream, uint32_t state) {
        if (found.fault) return;
        found.fault = fault;
        found.stream = stream;
        found.state = state;
    }

    bool ended(uint32_t state) const {
        const uint8_t* more = extra(state);
        for (unsigned s = 0; s < c.streams; s++)
            if (more[kCounts + s] != expected(more, s)) return false;
        return true;
    }

    // From every state, how many cycles it takes to the end if nothing stalls any more.
    void finish() {
        distance.assign(count(), kNone);
        std::vector<uint8_t> under_way(count(), 0);
        std::vector<uint32_t> path;
        for (uint32_t index = 0; index < count(); index++) {
            uint32_t at = index;
            path.clear();
            while (distance[at] == kNone && !ended(at)) {
                if (under_way[at]) return fail(kStuck, 0, at);
                under_way[at] = 1;
                path.push_back(at);
                at = after[at];
            }
            if (distance[at] == kNone) distance[at] = 0;
            uint32_t length = distance[at];
            while (!path.empty()) {
                distance[path.back()] = ++length;
                path.pop_back();
            }
            if (length > found.longest) found.longest = length;
        }
    }
};

}  // namespace

extern "C" {

// Explores a circuit up to so many states.
Reach* reach_run(const Circuit* circuit, uint64_t most, Found* found) {
    auto reach = std::make_unique<Reach>(*circuit, most);
    *found = reach->run();
    return reach.release();
}

void reach_close(Reach* reach) { delete reach; }

uint32_t reach_cycles(const Reach* reach, uint32_t index) { return reach->cycles(index); }

uint32_t reach_case(const Reach* reach, uint32_t state) { return reach->case_of(state); }

uint32_t reach_beats(const Reach* reach, uint32_t state, uint32_t stream) { return reach->beats(state, stream); }

uint32_t reach_trace(const Reach* reach, uint32_t state, uint32_t* offers, uint32_t room) {
    return reach->trace(state, offers, room);
}

}
