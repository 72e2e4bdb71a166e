// Per sample: a worker fills the 16 places of one block with its samples; one that is done gives its place to the next.
#ifndef NEURODE_LANES_H
#define NEURODE_LANES_H

#include "solve.h"

namespace NEURODE_VARIANT {

template <class T>
class LaneWorker final : public Worker {
public:
    LaneWorker(const Work<T>& work, const neurode_outcome& outcome, Trail<T>& trail, Clock* clocks, bool any_moves)
        : work_(work),
          outcome_(outcome),
          output_(work, outcome),
          trail_(trail),
          any_moves_(any_moves),
          buffers_(work.network),
          recording_(work.network, work.tableau.stages, typename StepRecording<T>::Elsewhere()),
          block_(work),
          tolerance_(work),
          readout_(work.network, work.tableau),
          clocks_(clocks),
          next_(trail.count()),
          first_(work.tableau.fsal ? trail.count() * work.dim : 0),
          patience_(work.problem.patience, work.products(1)),
          begun_(trail.first()) {}

    bool run() override {
        patience_.begin();
        for (; begun_ < end(); begun_ += BLOCK) {
            if (patience_.is_over()) return false;
            begin(begun_);
        }
        if (!filled_) fill_all();
        for (bool over = false; busy_ > 0; over = patience_.is_over()) {
            if (over) return false;
            advance();
        }
        return true;
    }

private:
    Clock& clock(int64_t sample) { return clocks_[sample - trail_.first()]; }
    int64_t end() const { return trail_.first() + trail_.count(); }

    // The samples from `base` on, a block: values at t0, f(t0, y0), first step sizes.
    void begin(int64_t base) {
        const int count = static_cast<int>(end() - base < BLOCK ? end() - base : BLOCK);
        const BlockState<T> state = block_.state();
        bool finite[BLOCK], alive[BLOCK] = {};
        for (int i = 0; i < count; ++i) {
            const int64_t sample = base + i;
            Clock& own = clock(sample) = Clock();
            own.begin(work_.times(sample), work_.control);
            if (work_.problem.probed && any_moves_) own.evaluations = 1;
            put_row<T>(work_.y0(sample), work_.dim, state.y, i);
            work_.put_terms(sample, buffers_.terms.data(), i);
            tolerance_.put(work_, sample, i);
            next_[sample - trail_.first()] = output_.begin(sample, work_.times(sample), work_.y0(sample));
            intervals_.set(i, own.t, own.t);
        }
        find_finite<T>(work_.dim, state.y, finite);
        settle(base, count, finite, alive);
        if (work_.adaptive || work_.tableau.fsal || work_.problem.probed) first_slopes(base, count, alive);
        for (int i = 0; i < count; ++i)
            if (!clock(base + i).running()) finish(base + i, state.y, i);
    }

    // Samples that are no numbers end here. alive: those that go on.
    void settle(int64_t base, int count, const bool* finite, bool* alive) {
        for (int i = 0; i < count; ++i) {
            Clock& own = clock(base + i);
            if (own.running() && !finite[i]) own.status = NEURODE_NON_FINITE;
            alive[i] = own.running();
        }
    }

    void first_slopes(int64_t base, int count, bool* alive) {
        const BlockState<T> state = block_.state();
        T times[BLOCK] __attribute__((aligned(64)));
        bool finite[BLOCK];
        intervals_.at(0, times);
        evaluate<T>(work_.network, times, state.y, state.k, buffers_, nullptr);
        find_finite<T>(work_.dim, state.k, finite);
        settle(base, count, finite, alive);
        const bool chosen = work_.adaptive && __builtin_isnan(work_.control.first_step);
        for (int i = 0; i < count; ++i) {
            Clock& own = clock(base + i);
            if (alive[i]) own.evaluations += (work_.problem.probed ? 0 : 1) + (chosen ? 1 : 0);
            if (alive[i]) own.size = work_.adaptive ? fmin(work_.control.first_step, work_.control.max_step) : 0;
            if (work_.tableau.fsal)
                take_row<T>(state.k, i, work_.dim, first_.data() + (base + i - trail_.first()) * work_.dim);
        }
        if (chosen) choose_sizes(base, count, alive);
    }

    void choose_sizes(int64_t base, int count, const bool* alive) {
        const BlockState<T> state = block_.state();
        const double root = sqrt(static_cast<double>(work_.dim));
        double d0[BLOCK], d1[BLOCK], change[BLOCK], h0[BLOCK] = {};
        scaled_squares<T>(work_.dim, state.y, nullptr, state.y, tolerance_.use, d0);
        scaled_squares<T>(work_.dim, state.k, nullptr, state.y, tolerance_.use, d1);
        for (int i = 0; i < count; ++i) {
            const Clock& own = clock(base + i);
            h0[i] = probing_step(sqrt(d0[i]) / root, sqrt(d1[i]) / root, fabs(own.t1 - own.t));
            intervals_.set(i, own.t, own.t + own.direction * h0[i]);
            intervals_.size[i] = static_cast<T>(own.direction * h0[i]);
        }
        const T one = static_cast<T>(1);
        const int64_t numbers = static_cast<int64_t>(work_.dim) * BLOCK;
        T times[BLOCK] __attribute__((aligned(64)));
        combine<T>(state.y, intervals_.size, &one, 1, state.k, numbers, state.y1);
        intervals_.at(1, times);
        Array<T> probe(numbers);
        evaluate<T>(work_.network, times, state.y1, probe.data(), buffers_, nullptr);
        scaled_squares<T>(work_.dim, probe.data(), state.k, state.y, tolerance_.use, change);
        for (int i = 0; i < count; ++i) {
            if (!alive[i]) continue;
            Clock& own = clock(base + i);
            const double size = first_step(h0[i], sqrt(d1[i]) / root, sqrt(change[i]) / root, fabs(own.t1 - own.t),
                                           work_.tableau.order);
            own.size = fmin(size, work_.control.max_step);
        }
    }

    void fill_all() {
        const BlockState<T> state = block_.state();
        memset(static_cast<void*>(state.y), 0, static_cast<size_t>(work_.dim) * BLOCK * sizeof(T));
        memset(static_cast<void*>(state.k), 0, static_cast<size_t>(work_.dim) * BLOCK * sizeof(T));
        for (int i = 0; i < BLOCK; ++i) sample_[i] = -1;
        waiting_ = trail_.first();
        for (int i = 0; i < BLOCK; ++i) fill(i);
        filled_ = true;
    }

    // The next sample that is to be solved takes place i, if there is one.
    void fill(int i) {
        while (waiting_ < end() && !clock(waiting_).running()) ++waiting_;
        if (waiting_ == end()) {
            sample_[i] = -1;
            intervals_.set(i, intervals_.t[i], intervals_.t[i]);
            return;
        }
        const int64_t sample = sample_[i] = waiting_++;
        const BlockState<T> state = block_.state();
        put_row<T>(work_.y0(sample), work_.dim, state.y, i);
        if (work_.tableau.fsal)
            put_row<T>(first_.data() + (sample - trail_.first()) * work_.dim, work_.dim, state.k, i);
        work_.put_terms(sample, buffers_.terms.data(), i);
        tolerance_.put(work_, sample, i);
        kept_[i].begin(work_.problem.slots);
        ++busy_;
    }

    void advance() {
        const BlockState<T> state = block_.state();
        Interval proposed[BLOCK];
        for (int i = 0; i < BLOCK; ++i) {
            if (sample_[i] < 0) continue;
            proposed[i] = clock(sample_[i]).propose(work_.times(sample_[i]), work_.control);
            intervals_.set(i, proposed[i].t, proposed[i].t_end);
        }
        const int first = work_.tableau.fsal ? 1 : 0;
        T* kept = trail_.activations.keeps() ? trail_.activations.begin(trail_.turns()) : nullptr;
        if (kept != nullptr) recording_.put_inputs(work_.network, work_.tableau.stages, kept);
        make_step<T>(work_.network, work_.tableau, intervals_, state, first, buffers_,
                     kept != nullptr ? &recording_ : nullptr);
        double ratio[BLOCK];
        find_ratios(ratio);
        typename Types<T>::Bits took[BLOCK] __attribute__((aligned(64))) = {};
        bool polynomial_made = false, all = true, any = false;
        Turn turn;
        for (int i = 0; i < BLOCK; ++i) {
            const int64_t sample = turn.sample[i] = sample_[i];
            turn.step[i] = -1;
            if (sample < 0) continue;
            Clock& own = clock(sample);
            // With f(t0, y0) in hand the first step of any method has one call less.
            own.evaluations += work_.tableau.stages - (first == 0 && own.steps == 0 && has_first() ? 1 : first);
            if (own.take(proposed[i], ratio[i], work_.control, work_.tableau.error_order, false)) {
                took[i] = -1;
                accept(i, sample, proposed[i], polynomial_made);
                turn.step[i] = trail_.last(sample);
                any = true;
            } else {
                all = false;
            }
        }
        if (any && trail_.activations.keeps()) {
            *trail_.add_turn() = turn;
            if (kept != nullptr) keep_inside(kept, all && busy_ == BLOCK, took);
        }
        keep_accepted(all, took);
        for (int i = 0; i < BLOCK; ++i) {
            if (sample_[i] < 0 || clock(sample_[i]).running()) continue;
            finish(sample_[i], state.y, i);
            --busy_;
            fill(i);
        }
    }

    // The slopes go beside the inputs, and places that did not accept leave nothing that could be infinite.
    void keep_inside(T* kept, bool all, const typename Types<T>::Bits* took) {
        const int64_t slopes = static_cast<int64_t>(work_.dim) * BLOCK * work_.tableau.stages;
        memcpy(static_cast<void*>(kept + trail_.activations.of_inputs()), block_.state().k,
               static_cast<size_t>(slopes) * sizeof(T));
        for (int64_t n = 0; !all && n < trail_.activations.of_block(); n += WIDTH<T>) {
            const Int<T> mask = *reinterpret_cast<const Int<T>*>(took + n % BLOCK);
            store<T>(kept + n, select<T>(mask, load<T>(kept + n), broadcast<T>(0)));
        }
    }

    bool has_first() const { return work_.adaptive || work_.problem.probed; }

    // Error over tolerance; with constant steps zero where the step ended finite, NaN elsewhere.
    void find_ratios(double* ratio) {
        const BlockState<T> state = block_.state();
        if (work_.adaptive) {
            T squares[BLOCK] __attribute__((aligned(64)));
            error_squares<T>(work_.network, work_.tableau, intervals_, state, tolerance_.use, buffers_, squares);
            const double root = sqrt(static_cast<double>(work_.dim));
            for (int i = 0; i < BLOCK; ++i) ratio[i] = sqrt(static_cast<double>(squares[i])) / root;
            return;
        }
        bool finite[BLOCK];
        find_finite<T>(work_.dim, state.y1, finite);
        for (int i = 0; i < BLOCK; ++i) ratio[i] = finite[i] ? 0.0 : __builtin_nan("");
    }

    // What an accepted step leaves: its beginning on the trail, and values at output times.
    void accept(int i, int64_t sample, const Interval& interval, bool& polynomial_made) {
        const BlockState<T> state = block_.state();
        if (work_.problem.keep) {
            T* row = trail_.add(sample, interval, work_.few ? &kept_[i] : nullptr);
            if (row != nullptr) take_row<T>(state.y, i, work_.dim, row);
            if (row != nullptr && work_.tableau.fsal) take_row<T>(state.k, i, work_.dim, row + work_.dim);
        }
        if (work_.dense) take_row<T>(state.k, i, work_.dim * work_.tableau.stages, trail_.add_slopes());
        const Times times = work_.times(sample);
        int64_t& next = next_[sample - trail_.first()];
        if (output_.reads_inside()) {
            const int64_t stop = output_.inside(times, interval, next);
            if (stop > next && !polynomial_made) {
                readout_.make(state.y, state.k, intervals_.size);
                polynomial_made = true;
            }
            readout_.read(i, times, interval, next, stop - next, output_.row(next, sample), output_.step());
            next = stop;
        }
        next = output_.end(sample, times, interval, next, state.y1, i);
    }

    // Places that accepted go on from the step's end.
    void keep_accepted(bool all, const typename Types<T>::Bits* took) {
        const BlockState<T> state = block_.state();
        const int64_t numbers = static_cast<int64_t>(work_.dim) * BLOCK;
        const T* last = state.k + (work_.tableau.stages - 1) * numbers;
        for (int64_t n = 0; n < numbers; n += WIDTH<T>) {
            const Int<T> mask = *reinterpret_cast<const Int<T>*>(took + n % BLOCK);
            const Vec<T> end = load<T>(state.y1 + n);
            store<T>(state.y + n, all ? end : select<T>(mask, end, load<T>(state.y + n)));
            if (work_.tableau.fsal)
                store<T>(state.k + n,
                         all ? load<T>(last + n) : select<T>(mask, load<T>(last + n), load<T>(state.k + n)));
        }
    }

    void finish(int64_t sample, const T* y, int i) {
        const Clock& own = clock(sample);
        take_row<T>(y, i, work_.dim, trail_.end(sample, work_.dim));
        output_.finish(sample, next_[sample - trail_.first()], own.status);
        report(own, sample, work_.samples, outcome_);
    }

    const Work<T>& work_;
    const neurode_outcome& outcome_;
    const Output<T> output_;
    Trail<T>& trail_;
    const bool any_moves_;
    Buffers<T> buffers_;
    StepRecording<T> recording_;
    Block<T> block_;
    BlockTolerance<T> tolerance_;
    Readout<T> readout_;
    Intervals<T> intervals_;
    Clock* const clocks_;
    Array<int64_t> next_;
    Array<T> first_;
    KeptStates kept_[BLOCK];
    Patience patience_;
    int64_t sample_[BLOCK];
    // Samples before this one have begun.
    int64_t begun_;
    int64_t waiting_ = 0;
    int busy_ = 0;
    bool filled_ = false;
};

}  // namespace NEURODE_VARIANT

#endif
