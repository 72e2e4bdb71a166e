// Jointly: all samples take the same steps. Workers own blocks of them, add up their errors, and decide alike.
#ifndef NEURODE_JOINT_H
#define NEURODE_JOINT_H

#include "solve.h"

namespace NEURODE_VARIANT {

// What the workers tell each other: numbers a block, in two tables in turn, since one worker may write the next while
// another one still reads the last. Summed block by block, so that the sum is the same for any number of workers.
class Exchange {
public:
    Exchange(int parts, int64_t blocks) : barrier(parts), blocks_(blocks), table_(blocks * 2 * 2) {}

    class Turn {
    public:
        explicit Turn(Exchange& exchange) : exchange_(exchange) {}
        void say(int64_t block, double first, double second) {
            double* place = exchange_.table_.data() + (side_ * exchange_.blocks_ + block) * 2;
            place[0] = first;
            place[1] = second;
        }
        void hear(double& first, double& second) {
            exchange_.barrier.wait();
            first = second = 0;
            const double* place = exchange_.table_.data() + side_ * exchange_.blocks_ * 2;
            for (int64_t block = 0; block < exchange_.blocks_; ++block) {
                first += place[2 * block];
                second += place[2 * block + 1];
            }
            side_ ^= 1;
        }

    private:
        Exchange& exchange_;
        int side_ = 0;
    };
    Barrier barrier;

private:
    const int64_t blocks_;
    Array<double> table_;
};

template <class T>
class JointWorker final : public Worker {
public:
    JointWorker(const Work<T>& work, const neurode_outcome& outcome, Trail<T>& trail, Exchange& exchange)
        : work_(work),
          outcome_(outcome),
          output_(work, outcome),
          trail_(trail),
          turn_(exchange),
          buffers_(work.network),
          recording_(work.network, work.tableau.stages, typename StepRecording<T>::Elsewhere()),
          tolerance_(work),
          readout_(work.network, work.tableau),
          numbers_(static_cast<int64_t>(work.dim) * BLOCK),
          padded_(whole_features(work.dim) * BLOCK),
          blocks_((trail.count() + BLOCK - 1) / BLOCK),
          y_(blocks_ * padded_),
          y1_(blocks_ * padded_),
          k_(blocks_ * numbers_ * work.tableau.stages),
          terms_(blocks_ * work.network.row_terms * BLOCK),
          times_(work.times(0)),
          patience_(work.problem.patience, work.products(blocks_)) {}

    bool run() override {
        patience_.begin();
        if (!begun_) begin();
        begun_ = true;
        for (bool over = false; clock_.running();) {
            if (over) return false;
            over = advance();
        }
        finish();
        return true;
    }
    const Clock& clock() const { return clock_; }
    // Did it end with something that is no number?
    bool is_wrong() const { return wrong_; }

private:
    int64_t first(int64_t block) const { return trail_.first() + block * BLOCK; }
    int count(int64_t block) const {
        const int64_t left = trail_.count() - block * BLOCK;
        return static_cast<int>(left < BLOCK ? left : BLOCK);
    }
    BlockState<T> state(int64_t block) {
        return {y_.data() + block * padded_, k_.data() + block * numbers_ * work_.tableau.stages,
                y1_.data() + block * padded_};
    }
    // What belongs to a block's samples, into the worker's hands.
    void take_up(int64_t block) {
        if (work_.network.row_terms > 0)
            memcpy(static_cast<void*>(buffers_.terms.data()), terms_.data() + block * work_.network.row_terms * BLOCK,
                   static_cast<size_t>(work_.network.row_terms) * BLOCK * sizeof(T));
        if (work_.control.rtol_rows != nullptr || work_.control.atol_rows != nullptr)
            for (int i = 0; i < count(block); ++i) tolerance_.put(work_, first(block) + i, i);
    }
    void set_intervals(double t, double t_end) {
        for (int i = 0; i < BLOCK; ++i) intervals_.set(i, t, t_end);
    }
    template <class N>
    double sum(const N* numbers, int64_t block) const {
        double total = 0;
        for (int i = 0; i < count(block); ++i) total += static_cast<double>(numbers[i]);
        return total;
    }
    double bad(const T* x, int64_t block) const {
        bool finite[BLOCK];
        find_finite<T>(work_.dim, x, finite);
        for (int i = 0; i < count(block); ++i)
            if (!finite[i]) return 1;
        return 0;
    }
    int64_t shared_block(int64_t block) const { return first(block) / BLOCK; }
    double root() const { return sqrt(fmax(1.0, static_cast<double>(work_.samples) * work_.dim)); }

    void begin() {
        clock_.begin(times_, work_.control);
        kept_.begin(work_.problem.slots);
        for (int64_t b = 0; b < blocks_; ++b)
            for (int i = 0; i < count(b); ++i) {
                const int64_t sample = first(b) + i;
                put_row<T>(work_.y0(sample), work_.dim, state(b).y, i);
                work_.put_terms(sample, terms_.data() + b * work_.network.row_terms * BLOCK, i);
                next_ = output_.begin(sample, times_, work_.y0(sample));
            }
        if (clock_.running()) start();
    }

    // f(t0, y0) and the first step size. Where nothing watches the error a state that is no number is found at the end.
    void start() {
        if (work_.problem.probed) ++clock_.evaluations;
        double wrong, other;
        if (work_.adaptive) {
            for (int64_t b = 0; b < blocks_; ++b) turn_.say(shared_block(b), bad(state(b).y, b), 0);
            turn_.hear(wrong, other);
            if (wrong > 0) clock_.status = NEURODE_NON_FINITE;
        }
        if (!clock_.running() || !(work_.adaptive || work_.tableau.fsal)) return;
        if (!work_.problem.probed) ++clock_.evaluations;
        T now[BLOCK] __attribute__((aligned(64)));
        set_intervals(clock_.t, clock_.t);
        intervals_.at(0, now);
        for (int64_t b = 0; b < blocks_; ++b) {
            take_up(b);
            evaluate<T>(work_.network, now, state(b).y, state(b).k, buffers_, nullptr);
            turn_.say(shared_block(b), bad(state(b).k, b), 0);
        }
        turn_.hear(wrong, other);
        if (!work_.adaptive) return;
        if (wrong > 0) {
            clock_.status = NEURODE_NON_FINITE;
        } else if (__builtin_isnan(work_.control.first_step)) {
            choose_size();
        } else {
            clock_.size = fmin(work_.control.first_step, work_.control.max_step);
        }
    }

    void choose_size() {
        const double length = fabs(clock_.t1 - clock_.t);
        double squares[BLOCK], d0, d1, change, unused;
        for (int64_t b = 0; b < blocks_; ++b) {
            take_up(b);
            scaled_squares<T>(work_.dim, state(b).y, nullptr, state(b).y, tolerance_.use, squares);
            const double of_y = sum(squares, b);
            scaled_squares<T>(work_.dim, state(b).k, nullptr, state(b).y, tolerance_.use, squares);
            turn_.say(shared_block(b), of_y, sum(squares, b));
        }
        turn_.hear(d0, d1);
        d0 = sqrt(d0) / root();
        d1 = sqrt(d1) / root();
        const double h0 = probing_step(d0, d1, length);
        set_intervals(clock_.t, clock_.t + clock_.direction * h0);
        for (int i = 0; i < BLOCK; ++i) intervals_.size[i] = static_cast<T>(clock_.direction * h0);
        T then[BLOCK] __attribute__((aligned(64)));
        intervals_.at(1, then);
        Array<T> probe(numbers_);
        const T one = static_cast<T>(1);
        for (int64_t b = 0; b < blocks_; ++b) {
            take_up(b);
            combine<T>(state(b).y, intervals_.size, &one, 1, state(b).k, numbers_, state(b).y1);
            evaluate<T>(work_.network, then, state(b).y1, probe.data(), buffers_, nullptr);
            scaled_squares<T>(work_.dim, probe.data(), state(b).k, state(b).y, tolerance_.use, squares);
            turn_.say(shared_block(b), sum(squares, b), 0);
        }
        turn_.hear(change, unused);
        ++clock_.evaluations;
        clock_.size =
            fmin(first_step(h0, d1, sqrt(change) / root(), length, work_.tableau.order), work_.control.max_step);
    }

    // One attempted step. Is it time to come back? Where workers wait for each other all say the same.
    bool advance() {
        const bool over = patience_.is_over();
        const Interval interval = clock_.propose(times_, work_.control);
        set_intervals(interval.t, interval.t_end);
        const int first = work_.tableau.fsal ? 1 : 0;
        T squares[BLOCK] __attribute__((aligned(64)));
        T* kept = work_.problem.keep ? trail_.activations.begin(clock_.accepted) : nullptr;
        for (int64_t b = 0; b < blocks_; ++b) {
            take_up(b);
            if (kept != nullptr) recording_.put_inputs(work_.network, work_.tableau.stages, kept);
            make_step<T>(work_.network, work_.tableau, intervals_, state(b), first, buffers_,
                         kept != nullptr ? &recording_ : nullptr);
            if (kept != nullptr) {
                memcpy(static_cast<void*>(kept + trail_.activations.of_inputs()), state(b).k,
                       static_cast<size_t>(numbers_ * work_.tableau.stages) * sizeof(T));
                kept += trail_.activations.of_block();
            }
            if (!work_.adaptive) continue;
            error_squares<T>(work_.network, work_.tableau, intervals_, state(b), tolerance_.use, buffers_, squares);
            turn_.say(shared_block(b), sum(squares, b), over ? 1 : 0);
        }
        double ratio = 0, others = 0;
        if (work_.adaptive) {
            turn_.hear(ratio, others);
            ratio = sqrt(ratio) / root();
        }
        // With f(t0, y0) in hand the first step of any method has one call less.
        const bool has_first = first == 0 && clock_.accepted == 0 && (work_.adaptive || work_.problem.probed);
        clock_.evaluations += work_.tableau.stages - (has_first || known_ ? 1 : first);
        known_ = false;
        if (clock_.take(interval, ratio, work_.control, work_.tableau.error_order, true)) {
            accept(interval);
        } else {
            known_ = first == 0;
        }
        return over || others > 0;
    }

    void accept(const Interval& interval) {
        const int64_t stop = output_.reads_inside() ? output_.inside(times_, interval, next_) : next_;
        const int64_t last = (work_.tableau.stages - 1) * numbers_;
        const bool carried = work_.tableau.fsal;
        T* row = work_.problem.keep ? trail_.add(trail_.first(), interval, work_.few ? &kept_ : nullptr)
                                   : nullptr;
        T* slopes = work_.dense ? trail_.add_slopes() : nullptr;
        int64_t after = stop;
        for (int64_t b = 0; b < blocks_; ++b) {
            const BlockState<T> own = state(b);
            if (stop > next_) {
                readout_.make(own.y, own.k, intervals_.size);
                readout_.read_all(count(b), times_, interval, next_, stop - next_, output_.row(next_, first(b)),
                                  output_.step());
            }
            for (int i = 0; i < count(b); ++i) {
                const int64_t sample = first(b) + i;
                if (row != nullptr) {
                    take_row<T>(own.y, i, work_.dim, row);
                    if (carried) take_row<T>(own.k, i, work_.dim, row + work_.dim);
                    row += work_.dim * (carried ? 2 : 1);
                }
                if (slopes != nullptr) {
                    take_row<T>(own.k, i, work_.dim * work_.tableau.stages, slopes);
                    slopes += work_.dim * work_.tableau.stages;
                }
                after = output_.end(sample, times_, interval, stop, own.y1, i);
            }
            memcpy(static_cast<void*>(own.y), own.y1, static_cast<size_t>(numbers_) * sizeof(T));
            if (carried) memcpy(static_cast<void*>(own.k), own.k + last, static_cast<size_t>(numbers_) * sizeof(T));
        }
        next_ = after;
    }

    void finish() {
        for (int64_t b = 0; b < blocks_; ++b) wrong_ = wrong_ || bad(state(b).y, b) > 0;
        const bool reached = clock_.t == clock_.t1;
        for (int64_t b = 0; b < blocks_; ++b)
            for (int i = 0; i < count(b); ++i) {
                take_row<T>(state(b).y, i, work_.dim, trail_.end(first(b) + i, work_.dim));
                output_.finish(first(b) + i, next_, reached ? NEURODE_SUCCESS : clock_.status);
            }
    }

    const Work<T>& work_;
    const neurode_outcome& outcome_;
    const Output<T> output_;
    Trail<T>& trail_;
    Exchange::Turn turn_;
    Buffers<T> buffers_;
    StepRecording<T> recording_;
    BlockTolerance<T> tolerance_;
    Readout<T> readout_;
    const int64_t numbers_, padded_, blocks_;
    Array<T> y_, y1_, k_, terms_;
    const Times times_;
    Clock clock_;
    Intervals<T> intervals_;
    KeptStates kept_;
    Patience patience_;
    int64_t next_ = 0;
    bool begun_ = false, known_ = false, wrong_ = false;
};

}  // namespace NEURODE_VARIANT

#endif
