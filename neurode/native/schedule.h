// Which states to keep where only so many fit, and how to come back: gradients/schedule.py in the kernel's words, which
// tells where the rules come from.
#ifndef NEURODE_SCHEDULE_H
#define NEURODE_SCHEDULE_H

#include "array.h"

namespace NEURODE_VARIANT {

// What `slots` of a problem may be: every state, or as many as twice the binary digits of the number of steps.
constexpr int64_t ALL_STATES = 0, LOG_STATES = -1;

inline int64_t slots_after(int64_t slots, int64_t steps) {
    if (slots != LOG_STATES) return slots;
    return steps < 2 ? 2 : 2 * (64 - __builtin_clzll(static_cast<unsigned long long>(steps)));
}

// The smallest r with C(slots + r, slots) >= length. binomial: that number.
inline int64_t repetitions(int64_t length, int64_t slots, double& binomial) {
    int64_t most = 0;
    // Whole numbers up to 2^53, which no solve comes near.
    for (binomial = 1; binomial < static_cast<double>(length);) {
        ++most;
        binomial = __builtin_floor(binomial * static_cast<double>(slots + most) / static_cast<double>(most) + 0.5);
    }
    return most;
}

// Steps it takes to go through `length` states in reverse, the first of them kept and `slots` (it included) free.
inline int64_t reverse_cost(int64_t length, int64_t slots) {
    if (length <= 1) return 0;
    if (slots == 1) return length * (length - 1) / 2;
    if (length <= slots + 1) return length - 1;
    double binomial;
    const int64_t most = repetitions(length, slots, binomial);
    // C(slots + r, slots + 1) = C(slots + r, slots) r / (slots + 1)
    const double less =
        __builtin_floor(binomial * static_cast<double>(most) / static_cast<double>(slots + 1) + 0.5);
    return most * length - static_cast<int64_t>(less);
}

// Where the next state is best kept among `length`, the first of them kept and slots >= 2.
inline int64_t split(int64_t length, int64_t slots) {
    double binomial;
    const double most = static_cast<double>(repetitions(length, slots, binomial)), s = static_cast<double>(slots);
    // C(s + r - 2, s) and C(s + r - 1, s - 1), out of C(s + r, s).
    const double low = binomial * most * (most - 1) / ((s + most) * (s + most - 1)), high = binomial * s / (s + most);
    int64_t place = static_cast<int64_t>(__builtin_floor(low + 0.5));
    const int64_t other = length - static_cast<int64_t>(__builtin_floor(high + 0.5));
    place = place > other ? place : other;
    return place > 1 ? place : 1;
}

// Chooses the states to keep while the steps come in.
class OnlineSchedule {
public:
    static constexpr int64_t NOT_KEPT = -2, NONE_DROPPED = -1;

    void begin(int64_t slots) {
        slots_ = slots;
        steps_ = 0;
        positions.clear();
    }
    // The next state has come. NOT_KEPT, NONE_DROPPED, or the place among `positions` whose state gave way to it.
    int64_t offer() {
        const int64_t fresh = steps_++, limit = slots_after(slots_, steps_);
        if (positions.count() < limit) {
            positions.push(fresh);
            return NONE_DROPPED;
        }
        const int64_t place = least_missed(fresh, limit);
        if (place == NOT_KEPT) return NOT_KEPT;
        positions.remove(place);
        positions.push(fresh);
        return place;
    }
    // Of the kept states: the number of the step that each began, rising.
    List positions;

private:
    // As if the new state were behind the kept ones.
    int64_t edge(int64_t place, int64_t fresh) const { return place < positions.count() ? positions[place] : fresh; }
    int64_t gap(int64_t place, int64_t fresh) const { return edge(place + 1, fresh) - edge(place, fresh); }

    int64_t least_missed(int64_t fresh, int64_t limit) {
        // Costs of the stretches before each place, of which the last is not asked for.
        int64_t total = 0;
        for (int64_t place = 0; place + 1 < limit; ++place) total += reverse_cost(gap(place, fresh), limit - place);
        int64_t best = total + reverse_cost(fresh + 1 - edge(limit - 1, fresh), 1);
        int64_t chosen = NOT_KEPT, above = 0;
        for (int64_t place = limit - 1; place > 0; --place) {
            total -= reverse_cost(gap(place - 1, fresh), limit - place + 1);
            const int64_t merged =
                reverse_cost(edge(place + 1, fresh) - edge(place - 1, fresh), limit - place + 1);
            const int64_t cost = total + merged + above;
            if (cost <= best) {
                best = cost;
                chosen = place;
            }
            above += reverse_cost(gap(place, fresh), limit - place + 1);
        }
        return chosen;
    }
    int64_t slots_ = 0, steps_ = 0;
};

}  // namespace NEURODE_VARIANT

#endif
