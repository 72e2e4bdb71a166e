// One step of an explicit Runge-Kutta method for a block of samples, each with its own interval.
#ifndef NEURODE_STEP_H
#define NEURODE_STEP_H

#include "controller.h"
#include "recording.h"

namespace NEURODE_VARIANT {

// The tableau in the state's precision.
template <class T>
class Tableau {
public:
    explicit Tableau(const neurode_method& method)
        : stages(method.stages),
          degree(method.degree),
          order(method.order),
          error_order(method.error_order),
          fsal(method.fsal != 0),
          nodes(method.c),
          a_(method.stages * method.stages),
          b_(method.stages),
          error_(method.stages),
          dense_(method.stages * method.degree) {
        for (int i = 0; i < stages * stages; ++i) a_[i] = static_cast<T>(method.a[i]);
        for (int i = 0; i < stages; ++i) {
            b_[i] = static_cast<T>(method.b[i]);
            error_[i] = method.error == nullptr ? static_cast<T>(0) : static_cast<T>(method.error[i]);
        }
        for (int i = 0; i < stages * degree; ++i) dense_[i] = static_cast<T>(method.dense[i]);
    }
    const T* a(int stage) const { return a_.data() + stage * stages; }
    const T* b() const { return b_.data(); }
    const T* error() const { return error_.data(); }
    // Coefficient of theta^(power + 1).
    T dense(int stage, int power) const { return dense_[stage * degree + power]; }

    const int stages, degree, order, error_order;
    const bool fsal;
    const double* const nodes;

private:
    Array<T> a_, b_, error_, dense_;
};

// Intervals of the samples of a block.
template <class T>
struct Intervals {
    double t[BLOCK] = {}, t_end[BLOCK] = {};
    T size[BLOCK] __attribute__((aligned(64))) = {};

    void set(int lane, double from, double to) {
        t[lane] = from;
        t_end[lane] = to;
        size[lane] = static_cast<T>(to - from);
    }
    // The times of a stage, rounded to the state's precision at the last moment, as the eager engine does.
    void at(double node, T* times) const {
        for (int i = 0; i < BLOCK; ++i)
            times[i] = static_cast<T>(node == 0 ? t[i] : node == 1 ? t_end[i] : t[i] + node * (t_end[i] - t[i]));
    }
};

// out = from + size sum_j weights[j] k[j] over `count` slopes that lie `numbers` apart; from may be null, out may be
// it.
template <class T>
void combine(const T* from, const T* size, const T* weights, int count, const T* k, int64_t numbers, T* out) {
    const T* terms[32];
    T entries[32];
    int used = 0;
    for (int j = 0; j < count; ++j) {
        if (weights[j] == 0) continue;
        terms[used] = k + j * numbers;
        entries[used++] = weights[j];
    }
    for (int64_t n = 0; n < numbers; n += WIDTH<T>) {
        Vec<T> sum = broadcast<T>(0);
        for (int j = 0; j < used; ++j) sum += load<T>(terms[j] + n) * entries[j];
        const Vec<T> moved = sum * load<T>(size + n % BLOCK);
        store<T>(out + n, from == nullptr ? moved : load<T>(from + n) + moved);
    }
}

// A block on its way: y (dim, 16), slopes k (stages, dim, 16), and y1, the end of the step last made.
template <class T>
struct BlockState {
    T *y, *k, *y1;
};

// Makes the stages from `first` on (0, or 1 where k[0] is known) and y1. recorded: null, or where their inside goes.
template <class T>
void make_step(const Network<T>& network, const Tableau<T>& tableau, const Intervals<T>& intervals,
               const BlockState<T>& state, int first, Buffers<T>& buffers, const StepRecording<T>* recorded) {
    const int64_t numbers = static_cast<int64_t>(network.dim()) * BLOCK;
    T times[BLOCK] __attribute__((aligned(64))) = {};
    for (int i = first; i < tableau.stages; ++i) {
        const size_t bytes = static_cast<size_t>(numbers) * sizeof(T);
        const T* argument = state.y;
        if (i > 0) {
            combine<T>(state.y, intervals.size, tableau.a(i), i, state.k, numbers, state.y1);
            argument = state.y1;
        }
        if (network.time) intervals.at(tableau.nodes[i], times);
        Recording<T> recording{};
        if (recorded != nullptr) {
            recording = recorded->stage(i);
            memcpy(static_cast<void*>(recording.input[0]), argument, bytes);
        }
        evaluate<T>(network, times, argument, state.k + i * numbers, buffers,
                    recorded != nullptr ? &recording : nullptr);
    }
    // First same as last: the argument of the last stage is the end of the step.
    if (!tableau.fsal) combine<T>(state.y, intervals.size, tableau.b(), tableau.stages, state.k, numbers, state.y1);
}

// What errors are measured by: numbers, or a block of them.
template <class T>
struct Tolerance {
    T rtol, atol;
    const T *rtol_block, *atol_block;

    NEURODE_INLINE Vec<T> scale(Vec<T> magnitude, int64_t n) const {
        const Vec<T> r = rtol_block == nullptr ? broadcast<T>(rtol) : load<T>(rtol_block + n);
        const Vec<T> a = atol_block == nullptr ? broadcast<T>(atol) : load<T>(atol_block + n);
        return magnitude * r + a;
    }
};

// sums[i] = sum over the state of (error / tolerance)^2 of sample i.
template <class T>
void error_squares(const Network<T>& network, const Tableau<T>& tableau, const Intervals<T>& intervals,
                   const BlockState<T>& state, const Tolerance<T>& tolerance, Buffers<T>& buffers, T* sums) {
    const int64_t numbers = static_cast<int64_t>(network.dim()) * BLOCK;
    T* error = buffers.start.data();
    combine<T>(nullptr, intervals.size, tableau.error(), tableau.stages, state.k, numbers, error);
    for (int p = 0; p < BLOCK; p += WIDTH<T>) {
        Vec<T> sum = broadcast<T>(0);
        for (int64_t n = p; n < numbers; n += BLOCK) {
            const Vec<T> before = magnitude<T>(load<T>(state.y + n)), after = magnitude<T>(load<T>(state.y1 + n));
            // With NaN in the end of the step, as torch.maximum.
            const Vec<T> ratio = load<T>(error + n) / tolerance.scale(select<T>(before > after, before, after), n);
            sum += ratio * ratio;
        }
        store<T>(sums + p, sum);
    }
}

// sums[i] = sum over the state of (x / (atol + rtol |y|))^2 of sample i; minus: null, or what is taken from x first.
template <class T>
void scaled_squares(int dim, const T* x, const T* minus, const T* y, const Tolerance<T>& tolerance, double* sums) {
    for (int i = 0; i < BLOCK; ++i) sums[i] = 0;
    for (int d = 0; d < dim; ++d) {
        for (int p = 0; p < BLOCK; p += WIDTH<T>) {
            const int64_t n = static_cast<int64_t>(d) * BLOCK + p;
            const Vec<T> value = minus == nullptr ? load<T>(x + n) : load<T>(x + n) - load<T>(minus + n);
            const Vec<T> ratio = value / tolerance.scale(magnitude<T>(load<T>(y + n)), n);
            for (int i = 0; i < WIDTH<T>; ++i)
                sums[p + i] += static_cast<double>(ratio[i]) * static_cast<double>(ratio[i]);
        }
    }
}

// finite[i]: is all of sample i a number?
template <class T>
void find_finite(int dim, const T* x, bool* finite) {
    for (int p = 0; p < BLOCK; p += WIDTH<T>) {
        // x - x is zero for numbers and NaN for all else, and NaN stays in a sum.
        Vec<T> sum = broadcast<T>(0);
        for (int d = 0; d < dim; ++d) {
            const Vec<T> v = load<T>(x + d * BLOCK + p);
            sum += v - v;
        }
        for (int i = 0; i < WIDTH<T>; ++i) finite[p + i] = sum[i] == 0;
    }
}

// A sample's row (contiguous numbers) into, and out of, its place in a block.
template <class T>
NEURODE_INLINE void put_row(const T* row, int numbers, T* block, int lane) {
    for (int d = 0; d < numbers; ++d) block[d * BLOCK + lane] = row[d];
}

template <class T>
NEURODE_INLINE void take_row(const T* block, int lane, int numbers, T* row) {
    for (int d = 0; d < numbers; ++d) row[d] = block[d * BLOCK + lane];
}

}  // namespace NEURODE_VARIANT

#endif
