// One call of the field for a block of samples; recorded, it can be pulled back.
#ifndef NEURODE_EVALUATION_H
#define NEURODE_EVALUATION_H

#include "activation.h"
#include "network.h"

namespace NEURODE_VARIANT {

// Blocks that a call writes: the input of each layer (that of the first is the state), and, recorded, the slopes of its
// activation, which the way back turns into gradients of its sums. Where a slope follows from the value, which is the
// input of the next layer, only its place is used, on the way back.
template <class T>
struct Recording {
    T* const* input;
    T* const* slope;
};

// Buffers of a worker: start values of sums, two layers in turn, and gradients.
template <class T>
class Buffers {
public:
    explicit Buffers(const Network<T>& network)
        : start(whole_features(network.widest) * BLOCK), turn{}, terms(network.row_terms * BLOCK) {
        for (Array<T>& one : turn) one.resize(whole_features(network.widest) * BLOCK);
    }
    Array<T> start, turn[2];
    // Weights of the terms that have a row a sample, feature-major.
    Array<T> terms;
};

// What the sums of a layer begin with; null where the bias alone will do.
template <class T>
const T* start_of(const Network<T>& network, const Layer<T>& layer, const T* t, Buffers<T>& buffers) {
    if (layer.bias != nullptr || layer.num_terms == 0) return nullptr;
    T* start = buffers.start.data();
    for (int j = 0; j < layer.num_terms; ++j) {
        const Term<T>& term = layer.terms[j];
        for (int p = 0; p < BLOCK; p += WIDTH<T>) {
            const Vec<T> clock = clock_value<T>(term, load<T>(t + p));
            for (int o = 0; o < layer.out; ++o) {
                const Vec<T> weight = term.rows ? load<T>(buffers.terms.data() + (term.at + o) * BLOCK + p)
                                                : broadcast<T>(network.shared()[term.at + o]);
                T* place = start + o * BLOCK + p;
                store<T>(place, j == 0 ? weight * clock : load<T>(place) + weight * clock);
            }
        }
    }
    return start;
}

// out = f(t, y); t: one time a sample. recording: null, or where layers' inputs and slopes go (y being input[0]).
template <class T>
void evaluate(const Network<T>& network, const T* t, const T* y, T* out, Buffers<T>& buffers,
              const Recording<T>* recording) {
    const T* x = y;
    const int last = network.count() - 1;
    for (int i = 0; i <= last; ++i) {
        const Layer<T>& layer = network.layer(i);
        T* to = i == last ? out : recording != nullptr ? recording->input[i + 1] : buffers.turn[i & 1].data();
        if (layer.plain)
            memcpy(static_cast<void*>(to), x, static_cast<size_t>(layer.out) * BLOCK * sizeof(T));
        else
            multiply<T>(layer.forward, x, layer.bias, start_of<T>(network, layer, t, buffers), to);
        activate<T>(layer.activation, to, recording == nullptr || layer.slope_of_value ? nullptr : recording->slope[i],
                    layer.out * BLOCK);
        if (layer.skip != 0) {
            for (int n = 0; n < layer.out * BLOCK; n += WIDTH<T>)
                store<T>(to + n, load<T>(to + n) + load<T>(x + n) * layer.skip);
        }
        x = to;
    }
    if (network.scale == 1 && network.skip == 0) return;
    for (int n = 0; n < network.dim() * BLOCK; n += WIDTH<T>)
        store<T>(out + n, load<T>(out + n) * network.scale + load<T>(y + n) * network.skip);
}

// Sums of gradients that a worker makes: of weights (rows, stride), shared terms (out, 16), and of the terms of the
// samples it has in hand (out, 16).
template <class T>
struct Sums {
    explicit Sums(const Network<T>& network)
        : weights(network.gradient_numbers), shared(network.shared_terms * BLOCK), rows(network.row_terms * BLOCK) {}
    Array<T> weights, shared, rows;
};

// The activation's slope from its value; of powers from what they are taken of.
template <class T>
NEURODE_INLINE Vec<T> slope_of_value(int activation, Vec<T> value) {
    if (activation == NEURODE_SQUARE) return value * static_cast<T>(2);
    if (activation == NEURODE_CUBE) return value * value * static_cast<T>(3);
    if (activation == NEURODE_TANH) return static_cast<T>(1) - value * value;
    return select<T>(value > static_cast<T>(0), broadcast<T>(1), broadcast<T>(0));
}

// delta = bar times the slope, into the slope's place; its sums over samples go to the terms, and, where wanted, the
// gradient of t. value: of the activation, where its slope follows from it.
template <class T>
void pull_activation(const Network<T>& network, const Layer<T>& layer, const T* t, const T* bar, const T* value,
                     T* slope, Buffers<T>& buffers, Sums<T>& sums, T* t_bar) {
    const bool linear = layer.activation == NEURODE_IDENTITY;
    // The bias, which nearly every layer has, is summed in the same pass.
    const bool shared_bias = layer.num_terms > 0 && layer.terms[0].clock == NEURODE_CLOCK_ONE && !layer.terms[0].rows;
    T* bias = shared_bias ? sums.shared.data() + layer.terms[0].at * BLOCK : nullptr;
    for (int n = 0; n < layer.out * BLOCK; n += WIDTH<T>) {
        Vec<T> delta = load<T>(bar + n);
        if (!linear)
            delta *= layer.slope_of_value ? slope_of_value<T>(layer.activation, load<T>(value + n)) : load<T>(slope + n);
        store<T>(slope + n, delta);
        if (shared_bias) store<T>(bias + n, load<T>(bias + n) + delta);
    }
    for (int j = shared_bias ? 1 : 0; j < layer.num_terms; ++j) {
        const Term<T>& term = layer.terms[j];
        T* sum = (term.rows ? sums.rows.data() : sums.shared.data()) + term.at * BLOCK;
        if (term.clock == NEURODE_CLOCK_ONE) {
            for (int n = 0; n < layer.out * BLOCK; n += WIDTH<T>)
                store<T>(sum + n, load<T>(sum + n) + load<T>(slope + n));
            continue;
        }
        for (int p = 0; p < BLOCK; p += WIDTH<T>) {
            const Vec<T> now = load<T>(t + p), clock = clock_value<T>(term, now);
            Vec<T> along = broadcast<T>(0);
            for (int o = 0; o < layer.out; ++o) {
                const int64_t n = o * BLOCK + p;
                const Vec<T> delta = load<T>(slope + n);
                store<T>(sum + n, load<T>(sum + n) + delta * clock);
                along += delta * (term.rows ? load<T>(buffers.terms.data() + term.at * BLOCK + n)
                                            : broadcast<T>(network.shared()[term.at + o]));
            }
            if (t_bar != nullptr) store<T>(t_bar + p, load<T>(t_bar + p) + along * clock_slope<T>(term, now));
        }
    }
}

// to = x + start, which may be null.
template <class T>
NEURODE_INLINE void copy_sum(const T* x, const T* start, int count, T* to) {
    for (int n = 0; n < count; n += WIDTH<T>)
        store<T>(to + n, start == nullptr ? load<T>(x + n) : load<T>(x + n) + load<T>(start + n));
}

// y_bar = the gradient of y from that of a recorded call's value, out_bar (which is overwritten). t_bar: added to, or
// null. Deltas are left in recording.slope for the weight gradients.
template <class T>
void pull_back(const Network<T>& network, const T* t, T* out_bar, T* y_bar, Buffers<T>& buffers,
               const Recording<T>& recording, Sums<T>& sums, T* t_bar) {
    const int64_t numbers = network.dim() * BLOCK;
    if (network.skip != 0) {
        for (int64_t n = 0; n < numbers; n += WIDTH<T>) store<T>(y_bar + n, load<T>(out_bar + n) * network.skip);
    }
    if (network.scale != 1) {
        for (int64_t n = 0; n < numbers; n += WIDTH<T>) store<T>(out_bar + n, load<T>(out_bar + n) * network.scale);
    }
    T* bar = out_bar;
    for (int i = network.count() - 1; i >= 0; --i) {
        const Layer<T>& layer = network.layer(i);
        const T* value = layer.slope_of_value ? recording.input[layer.plain ? i : i + 1] : nullptr;
        pull_activation<T>(network, layer, t, bar, value, recording.slope[i], buffers, sums, t_bar);
        T* start = nullptr;
        if (layer.skip != 0) {
            start = buffers.start.data();
            for (int n = 0; n < layer.in * BLOCK; n += WIDTH<T>) store<T>(start + n, load<T>(bar + n) * layer.skip);
        }
        if (i == 0 && network.skip != 0) {
            if (start == nullptr) {
                start = y_bar;
            } else {
                for (int64_t n = 0; n < numbers; n += WIDTH<T>)
                    store<T>(start + n, load<T>(start + n) + load<T>(y_bar + n));
            }
        }
        T* to = i == 0 ? y_bar : buffers.turn[i & 1].data();
        if (layer.plain)
            copy_sum<T>(recording.slope[i], start, layer.in * BLOCK, to);
        else
            multiply<T>(layer.backward, recording.slope[i], nullptr, start, to);
        bar = to;
    }
}

}  // namespace NEURODE_VARIANT

#endif
