// A solve, forward: what its workers share, and what it leaves for the way back.
#ifndef NEURODE_SOLVE_H
#define NEURODE_SOLVE_H

#include "barrier.h"
#include "first_step.h"
#include "patience.h"
#include "readout.h"
#include "solve_base.h"
#include "trail.h"

namespace NEURODE_VARIANT {

// What makes a part of a solve, step after step.
class Worker {
public:
    virtual ~Worker() = default;
    // False: its patience ended before its work did; call it again.
    virtual bool run() = 0;
};

// The problem with its tables, for all workers.
template <class T>
struct Work {
    explicit Work(const neurode_problem& given, bool reverse)
        : problem(given),
          control(*given.control),
          network(*given.field, reverse),
          tableau(*given.method),
          dim(network.dim()),
          save(given.save == NEURODE_SAVE_DENSE ? NEURODE_SAVE_TS : given.save),
          dense(given.save == NEURODE_SAVE_DENSE),
          samples(given.samples),
          joint(given.joint != 0),
          few(given.keep != 0 && given.slots != ALL_STATES && given.save != NEURODE_SAVE_DENSE &&
              given.save != NEURODE_SAVE_STEPS),
          adaptive(control.adaptive != 0) {
        parts = given.threads;
        const int64_t blocks = (samples + BLOCK - 1) / BLOCK;
        if (parts > blocks) parts = static_cast<int>(blocks);
        if (parts < 1) parts = 1;
    }
    // Samples of a worker: whole blocks, the same for the same number of workers.
    int64_t first(int part) const {
        const int64_t blocks = (samples + BLOCK - 1) / BLOCK, sample = part * blocks / parts * BLOCK;
        return sample < samples ? sample : samples;
    }
    // Multiplications in a step of so many blocks, or so.
    double products(int64_t blocks) const {
        return static_cast<double>(network.gradient_numbers * tableau.stages * BLOCK) * static_cast<double>(blocks);
    }
    Times times(int64_t sample) const {
        const int64_t count = problem.lengths == nullptr ? problem.num_times : problem.lengths[sample];
        return {problem.times + sample * problem.time_stride, count};
    }
    const T* y0(int64_t sample) const { return static_cast<const T*>(problem.y0) + sample * dim; }
    // A sample's own weights, into its place in a block of them.
    void put_terms(int64_t sample, T* block, int lane) const {
        if (network.row_terms == 0) return;
        for (int i = 0; i < network.count(); ++i) {
            const Layer<T>& layer = network.layer(i);
            for (int j = 0; j < layer.num_terms; ++j) {
                const Term<T>& term = layer.terms[j];
                if (!term.rows) continue;
                for (int o = 0; o < layer.out; ++o)
                    block[(term.at + o) * BLOCK + lane] = term.weight[sample * term.row_stride + o * term.stride];
            }
        }
    }

    const neurode_problem& problem;
    const neurode_control& control;
    const Network<T> network;
    const Tableau<T> tableau;
    const int dim;
    // Dense output is beside the values at output times.
    const int save;
    const bool dense;
    const int64_t samples;
    // few: only some states are kept.
    const bool joint, few, adaptive;
    int parts;
};

// Tolerances of the samples of a block.
template <class T>
class BlockTolerance {
public:
    explicit BlockTolerance(const Work<T>& work)
        : rtol_(work.control.rtol_rows == nullptr ? 0 : work.dim * BLOCK),
          atol_(work.control.atol_rows == nullptr ? 0 : work.dim * BLOCK) {
        use = {static_cast<T>(work.control.rtol), static_cast<T>(work.control.atol),
               work.control.rtol_rows == nullptr ? nullptr : rtol_.data(),
               work.control.atol_rows == nullptr ? nullptr : atol_.data()};
        // Places without a sample divide by something.
        for (int64_t i = 0; i < atol_.size(); ++i) atol_[i] = 1;
    }
    void put(const Work<T>& work, int64_t sample, int lane) {
        const T *rtol = static_cast<const T*>(work.control.rtol_rows),
                *atol = static_cast<const T*>(work.control.atol_rows);
        if (rtol != nullptr) put_row<T>(rtol + sample * work.dim, work.dim, rtol_.data(), lane);
        if (atol != nullptr) put_row<T>(atol + sample * work.dim, work.dim, atol_.data(), lane);
    }
    Tolerance<T> use;

private:
    Array<T> rtol_, atol_;
};

// Writes a sample's values as its steps bring them.
template <class T>
class Output {
public:
    Output(const Work<T>& work, const neurode_outcome& outcome)
        : work_(work), what_(work.save), values_(static_cast<T*>(outcome.values)) {}

    bool reads_inside() const { return what_ == NEURODE_SAVE_TS; }
    // From a row's values of a sample to those of the next row.
    int64_t step() const { return work_.samples * work_.dim; }
    T* row(int64_t row, int64_t sample) const { return values_ + (row * work_.samples + sample) * work_.dim; }

    // Values at t0; returns the next row to write.
    int64_t begin(int64_t sample, const Times& times, const T* y0) const {
        if (what_ == NEURODE_SAVE_END) {
            if (times.at(0) == times.at(times.count - 1)) copy(y0, row(0, sample));
            return 0;
        }
        if (what_ != NEURODE_SAVE_TS) return 0;
        int64_t next = 0;
        while (next < times.count && times.at(next) == times.at(0)) copy(y0, row(next++, sample));
        return next;
    }
    // Rows from `next` on that lie inside the interval end at the one returned. A row that lies at its end by chance,
    // and did not make the step end there, is read inside: so it carries the gradient of its time.
    int64_t inside(const Times& times, const Interval& interval, int64_t next) const {
        const bool forward = interval.t_end >= interval.t;
        while (next < times.count && (forward ? times.at(next) < interval.t_end : times.at(next) > interval.t_end))
            ++next;
        while (interval.anchor_end < 0 && next < times.count && times.at(next) == interval.t_end) ++next;
        return next;
    }
    // Rows that are the step's end; returns the next one.
    int64_t end(int64_t sample, const Times& times, const Interval& interval, int64_t next, const T* y1,
                int lane) const {
        if (what_ == NEURODE_SAVE_END) {
            if (interval.t_end == times.at(times.count - 1)) take_row<T>(y1, lane, work_.dim, row(0, sample));
            return next;
        }
        if (what_ != NEURODE_SAVE_TS) return next;
        while (next < times.count && times.at(next) == interval.t_end)
            take_row<T>(y1, lane, work_.dim, row(next++, sample));
        return next;
    }
    // NaN where the sample did not get.
    void finish(int64_t sample, int64_t next, int status) const {
        if (values_ == nullptr) return;
        if (what_ == NEURODE_SAVE_END && status != NEURODE_SUCCESS) blank(row(0, sample));
        if (what_ != NEURODE_SAVE_TS) return;
        for (int64_t r = next; r < work_.problem.num_times; ++r) blank(row(r, sample));
    }

private:
    void copy(const T* from, T* to) const { memcpy(to, from, static_cast<size_t>(work_.dim) * sizeof(T)); }
    void blank(T* to) const {
        for (int d = 0; d < work_.dim; ++d) to[d] = static_cast<T>(__builtin_nan(""));
    }
    const Work<T>& work_;
    const int what_;
    T* const values_;
};

inline void report(const Clock& clock, int64_t lane, int64_t lanes, const neurode_outcome& outcome) {
    outcome.times[lane] = clock.t;
    outcome.times[lanes + lane] = clock.size;
    outcome.counts[lane] = clock.steps;
    outcome.counts[lanes + lane] = clock.accepted;
    outcome.counts[2 * lanes + lane] = clock.steps - clock.accepted;
    outcome.counts[3 * lanes + lane] = clock.evaluations;
    outcome.counts[4 * lanes + lane] = clock.status;
}

// Arrays of a block on its way, padded so that it can be turned around.
template <class T>
class Block {
public:
    explicit Block(const Work<T>& work)
        : y_(whole_features(work.dim) * BLOCK),
          y1_(whole_features(work.dim) * BLOCK),
          k_(static_cast<int64_t>(work.tableau.stages) * work.dim * BLOCK) {}
    BlockState<T> state() { return {y_.data(), k_.data(), y1_.data()}; }

private:
    Array<T> y_, y1_, k_;
};

}  // namespace NEURODE_VARIANT

#endif
