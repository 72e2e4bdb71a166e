// The way back: accepted steps are made again from the states they began at, and pulled back exactly.
//
// As on the way, a worker fills the places of a block with its samples, each at its own last step; one that has come
// to its beginning gives its place to the next. Where the inside of steps was kept, sample by sample, they are gone
// through in the order they were made in, from the last to the first, and every sample has the place it had.
#ifndef NEURODE_REVERSE_H
#define NEURODE_REVERSE_H

#include "step_back.h"

namespace NEURODE_VARIANT {

template <class T>
class ReverseWorker final : public Worker, public StepBack<T> {
public:
    ReverseWorker(const Work<T>& work, const neurode_pullback& bars, Trail<T>& trail, const Clock* clocks,
                  const int64_t* first_step)
        : StepBack<T>(work),
          times_bar(work.joint && bars.times_bar != nullptr ? work.problem.num_times : 0),
          bars_(bars),
          trail_(trail),
          clocks_(clocks),
          first_step_(first_step),
          lanes_(work.joint ? 1 : work.samples),
          readout_(work.network, work.tableau),
          carried_bar_(work.tableau.fsal ? trail.count() * work.dim : 0),
          patience_(work.problem.patience, 3 * work.products(1)),
          unpulled_(trail.first()),
          turn_(trail.is_mirrored() ? trail.turns() : -1) {
        if (work.few) recall_ = new Recall<T>(work, trail, buffers_);
        for (int i = 0; i < BLOCK; ++i) sample_[i] = owner_[i] = -1;
        waiting_ = trail_.first();
        for (int i = 0; i < BLOCK; ++i) fill(i);
    }
    ~ReverseWorker() override {
        delete polynomial_;
        delete recall_;
    }

    bool run() override {
        patience_.begin();
        while (turn_ >= 0 ? find_turn() : busy_ > 0) {
            if (recall_ != nullptr && !recall_->reach(sample_, left_, y_.data(), k_.data(), patience_)) return false;
            step_back();
            if (patience_.is_over()) return false;
        }
        for (; work_.tableau.fsal && unpulled_ < end(); unpulled_ += BLOCK) {
            if (patience_.is_over()) return false;
            pull_first(unpulled_);
        }
        return true;
    }
    // By which states were made again.
    int64_t recalling_calls() const { return recall_ == nullptr ? 0 : recall_->most_calls; }
    // Of the sample that had most.
    int64_t steps_made_again() const { return most_made_; }
    using StepBack<T>::sums;
    Array<double> times_bar;

private:
    using StepBack<T>::work_;
    using StepBack<T>::buffers_;
    using StepBack<T>::recording_;
    using StepBack<T>::intervals_;
    using StepBack<T>::numbers_;
    using StepBack<T>::y_;
    using StepBack<T>::y_bar_;
    using StepBack<T>::next_bar_;
    using StepBack<T>::y1_bar_;
    using StepBack<T>::x_bar_;
    using StepBack<T>::k_;
    using StepBack<T>::k_bar_;
    using StepBack<T>::times_;
    using StepBack<T>::turned_;
    using StepBack<T>::start_bar_;
    using StepBack<T>::end_bar_;
    using StepBack<T>::size_bar_;

    int64_t end() const { return trail_.first() + trail_.count(); }
    const Clock& clock(int64_t sample) const { return clocks_[work_.joint ? 0 : sample - trail_.first()]; }
    T* y0_bar(int64_t sample) const { return static_cast<T*>(bars_.y0_bar) + sample * work_.dim; }
    const T* value_bar(int64_t row, int64_t sample) const {
        return static_cast<const T*>(bars_.values_bar) + (row * work_.samples + sample) * work_.dim;
    }
    void add_time(int64_t row, int64_t sample, double bar) {
        if (row < 0) return;
        if (work_.joint)
            times_bar[row] += bar;
        else
            bars_.times_bar[row * work_.samples + sample] += bar;
    }

    // Rows that are y0 itself.
    void pull_beginning(int64_t sample, T* bar) {
        const Times times = work_.times(sample);
        const int what = work_.save;
        int64_t rows = 0;
        if (what == NEURODE_SAVE_STEPS || (what == NEURODE_SAVE_END && times.at(0) == times.at(times.count - 1)))
            rows = 1;
        if (what == NEURODE_SAVE_TS)
            while (rows < times.count && times.at(rows) == times.at(0)) ++rows;
        for (int64_t row = 0; row < rows; ++row) {
            const T* own = value_bar(row, sample);
            for (int d = 0; d < work_.dim; ++d) bar[d] += own[d];
        }
    }

    // A sample that never moved.
    void pull_still(int64_t sample) {
        T* bar = y0_bar(sample);
        memset(static_cast<void*>(bar), 0, static_cast<size_t>(work_.dim) * sizeof(T));
        pull_beginning(sample, bar);
    }

    // The next sample takes place i at its last step; who never moved is done at once. In turns places wait for theirs.
    void fill(int i) {
        while (waiting_ < end() && (turn_ >= 0 || trail_.last(waiting_) < 0)) {
            if (trail_.last(waiting_) < 0) pull_still(waiting_);
            ++waiting_;
        }
        if (turn_ >= 0) return;
        if (waiting_ < end()) return seat(i, waiting_++);
        sample_[i] = -1;
        clear(i);
        intervals_.set(i, intervals_.t[i], intervals_.t[i]);
    }
    void clear(int i) {
        for (int64_t n = i; n < numbers_; n += BLOCK) y_bar_[n] = next_bar_[n] = 0;
    }
    void seat(int i, int64_t sample) {
        clear(i);
        sample_[i] = owner_[i] = sample;
        made_[i] = 0;
        step_[i] = trail_.last(sample);
        left_[i] = clock(sample).accepted;
        const Times times = work_.times(sample);
        row_[i] = times.count;
        // Values beyond what was reached were never written.
        const double reached = clock(sample).t;
        const bool forward = times.at(times.count - 1) >= times.at(0);
        while (row_[i] > 0 && (forward ? times.at(row_[i] - 1) > reached : times.at(row_[i] - 1) < reached)) --row_[i];
        work_.put_terms(sample, buffers_.terms.data(), i);
        for (int64_t f = 0; f < work_.network.row_terms; ++f) sums.rows[f * BLOCK + i] = 0;
        if (recall_ != nullptr) recall_->begin(i, sample, left_[i]);
        ++busy_;
    }

    // The turn before the one that was gone through: who took a step in it. False: there is none.
    bool find_turn() {
        if (turn_ == 0) return false;
        const Turn& turn = trail_.turn(--turn_);
        some_rest_ = false;
        for (int i = 0; i < BLOCK; ++i) {
            took_[i] = turn.step[i] >= 0 ? -1 : 0;
            if (turn.step[i] >= 0 && owner_[i] != turn.sample[i]) seat(i, turn.sample[i]);
            sample_[i] = turn.step[i] >= 0 ? turn.sample[i] : -1;
            if (turn.step[i] >= 0) continue;
            some_rest_ = true;
            intervals_.set(i, intervals_.t[i], intervals_.t[i]);
        }
        return true;
    }

    void step_back() {
        const int fsal = work_.tableau.fsal ? 1 : 0;
        for (int i = 0; i < BLOCK; ++i) {
            if (sample_[i] < 0) continue;
            const Interval& interval = trail_.mark(step_[i]).interval;
            if (recall_ == nullptr) {
                const T* state = trail_.state(step_[i], sample_[i]);
                put_row<T>(state, work_.dim, y_.data(), i);
                if (fsal) put_row<T>(state + work_.dim, work_.dim, k_.data(), i);
            }
            intervals_.set(i, interval.t, interval.t_end);
            if (work_.save == NEURODE_SAVE_TS) find_rows(i, interval);
        }
        if (!take_kept()) {
            this->make_again(fsal);
            for (int i = 0; i < BLOCK; ++i) made_[i] += sample_[i] >= 0 ? 1 : 0;
        }
        if (some_rest_) this->set_aside(took_);
        this->begin_bars();
        hear_values();
        if (work_.dense) hear_steps();
        this->pull_stages(fsal, bars_.times_bar != nullptr);
        add_weights<T>(work_.network, *work_.problem.field, recording_, fsal, work_.tableau.stages - fsal, turned_,
                       sums);
        if (some_rest_) this->give_back();
        for (int i = 0; i < BLOCK; ++i)
            if (sample_[i] >= 0) move_on(i);
    }

    // Rows of values that the step wrote: [first_row, inside) within it, [inside, row) at its end. They lie far apart,
    // and are called for long before they are needed.
    void find_rows(int i, const Interval& interval) {
        const Times times = work_.times(sample_[i]);
        int64_t row = row_[i];
        while (interval.anchor_end >= 0 && row > 0 && times.at(row - 1) == interval.t_end) --row;
        inside_[i] = row;
        const bool forward = interval.t_end >= interval.t;
        while (row > 0 && (forward ? times.at(row - 1) > interval.t : times.at(row - 1) < interval.t)) --row;
        first_row_[i] = row;
        for (int64_t r = row; r < row_[i]; ++r)
            for (int64_t d = 0; d < work_.dim; d += 64 / static_cast<int64_t>(sizeof(T)))
                __builtin_prefetch(value_bar(r, sample_[i]) + d, 0, 2);
    }

    // The inside of the step as it was kept; false where it was not.
    bool take_kept() {
        T* kept = turn_ >= 0    ? trail_.activations.step(turn_)
                  : work_.joint ? trail_.activations.step(left_[0] - 1)
                                : nullptr;
        if (kept != nullptr && work_.joint)
            kept += (sample_[0] - trail_.first()) / BLOCK * trail_.activations.of_block();
        recording_.put_inputs(work_.network, work_.tableau.stages, kept);
        if (kept != nullptr) this->take_again(kept + trail_.activations.of_inputs());
        return kept != nullptr;
    }

    // Gradients of the values that the steps wrote: at their ends, and inside.
    void hear_values() {
        const int what = work_.save;
        bool heard = false;
        for (int i = 0; i < BLOCK; ++i) {
            const int64_t sample = sample_[i];
            if (sample < 0) continue;
            const Interval& interval = trail_.mark(step_[i]).interval;
            const Times times = work_.times(sample);
            if (what == NEURODE_SAVE_STEPS) add_end(i, value_bar(left_[i], sample));
            if (what == NEURODE_SAVE_END && interval.t_end == times.at(times.count - 1))
                add_end(i, value_bar(0, sample));
            if (what != NEURODE_SAVE_TS) continue;
            while (row_[i] > inside_[i]) add_end(i, value_bar(--row_[i], sample));
            if (row_[i] == first_row_[i]) continue;
            if (!heard) begin_hearing();
            heard = true;
            const int64_t count = row_[i] - first_row_[i];
            const T *bar = value_bar(first_row_[i], sample), *end = value_bar(work_.problem.num_times, 0);
            if (!work_.joint)
                readout_.hear(i, times, interval, first_row_[i], count, bar, work_.samples * work_.dim, end);
            else if (i == 0)
                readout_.hear_all(busy_, times, interval, first_row_[i], count, bar, work_.samples * work_.dim, end);
            if (bars_.times_bar != nullptr)
                for (int64_t row = first_row_[i]; row < row_[i]; ++row) hear_time(i, sample, row, times, interval);
            row_[i] = first_row_[i];
        }
        if (heard) readout_.pull(intervals_.size, y_bar_.data(), k_bar_.data());
    }

    // Gradients of the steps themselves, which a dense solution is read from.
    void hear_steps() {
        const int64_t lane_width = work_.joint ? work_.samples * work_.dim : work_.dim;
        for (int i = 0; i < BLOCK; ++i) {
            if (sample_[i] < 0) continue;
            const int64_t row = first_step_[work_.joint ? 0 : sample_[i]] + left_[i] - 1;
            const int64_t at = row * lane_width + (work_.joint ? sample_[i] * work_.dim : 0);
            if (const T* bar = static_cast<const T*>(bars_.starts_bar))
                for (int d = 0; d < work_.dim; ++d) y_bar_[d * BLOCK + i] += bar[at + d];
            if (const T* bar = static_cast<const T*>(bars_.stages_bar))
                for (int s = 0; s < work_.tableau.stages; ++s)
                    for (int d = 0; d < work_.dim; ++d)
                        k_bar_[s * numbers_ + d * BLOCK + i] += bar[s * first_step_[lanes_] * lane_width + at + d];
        }
    }

    void begin_hearing() {
        if (bars_.times_bar != nullptr) {
            if (polynomial_ == nullptr) polynomial_ = new Readout<T>(work_.network, work_.tableau);
            polynomial_->make(y_.data(), k_.data(), intervals_.size);
        }
        readout_.forget();
    }

    void hear_time(int i, int64_t sample, int64_t row, const Times& times, const Interval& interval) {
        const double length = interval.t_end - interval.t, theta = (times.at(row) - interval.t) / length;
        const T* bar = value_bar(row, sample);
        // With y + h w(theta) k and theta = (t - start) / h, by t, by the start and by the end.
        double by_theta, moved;
        polynomial_->slopes(i, theta, bar, by_theta, moved);
        const double asked = by_theta / length, by_size = moved / length - theta * asked;
        add_time(row, sample, asked);
        start_bar_[i] -= asked + by_size;
        end_bar_[i] += by_size;
    }

    void add_end(int i, const T* bar) {
        for (int d = 0; d < work_.dim; ++d) y1_bar_[d * BLOCK + i] += bar[d];
    }

    // To the step before, or, from the first one, to the next sample.
    void move_on(int i) {
        const Mark& mark = trail_.mark(step_[i]);
        const int64_t sample = sample_[i];
        if (bars_.times_bar != nullptr) {
            add_time(mark.interval.anchor, sample, start_bar_[i] - size_bar_[i]);
            add_time(mark.interval.anchor_end, sample, end_bar_[i] + size_bar_[i]);
            start_bar_[i] = end_bar_[i] = size_bar_[i] = 0;
        }
        step_[i] = mark.previous;
        --left_[i];
        if (recall_ != nullptr) recall_->undone(i, left_[i]);
        if (step_[i] >= 0) return;
        T* bar = y0_bar(sample);
        take_row<T>(y_bar_.data(), i, work_.dim, bar);
        pull_beginning(sample, bar);
        if (work_.tableau.fsal)
            take_row<T>(next_bar_.data(), i, work_.dim, carried_bar_.data() + (sample - trail_.first()) * work_.dim);
        put_row_sums(i, sample, false);
        most_made_ = made_[i] > most_made_ ? made_[i] : most_made_;
        --busy_;
        owner_[i] = -1;
        fill(i);
    }

    // The gradients of a sample's own terms, to where they are wanted.
    void put_row_sums(int i, int64_t sample, bool more) {
        if (work_.network.row_terms == 0) return;
        for (int l = 0; l < work_.network.count(); ++l) {
            const Layer<T>& layer = work_.network.layer(l);
            for (int j = 0; j < layer.num_terms; ++j) {
                const Term<T>& term = layer.terms[j];
                T* to = static_cast<T*>(work_.problem.field->layers[l].terms[j].gradient);
                if (!term.rows || to == nullptr) continue;
                to += sample * layer.out;
                for (int o = 0; o < layer.out; ++o) {
                    const T sum = sums.rows[(term.at + o) * BLOCK + i];
                    to[o] = more ? to[o] + sum : sum;
                }
            }
        }
    }

    // Through f(t0, y0), which the first step was handed.
    void pull_first(int64_t base) {
        const int count = static_cast<int>(end() - base < BLOCK ? end() - base : BLOCK);
        T *k_bar = k_bar_.data(), t_bar[BLOCK] __attribute__((aligned(64))) = {};
        memset(static_cast<void*>(k_bar), 0, static_cast<size_t>(numbers_) * sizeof(T));
        recording_.put_inputs(work_.network, work_.tableau.stages, nullptr);
        const Recording<T> recording = recording_.stage(0);
        T* y = recording.input[0];
        memset(static_cast<void*>(y), 0, static_cast<size_t>(numbers_) * sizeof(T));
        memset(static_cast<void*>(sums.rows.data()), 0, static_cast<size_t>(sums.rows.size()) * sizeof(T));
        bool any = false;
        for (int i = 0; i < count; ++i) {
            const int64_t sample = base + i;
            if (trail_.last(sample) < 0) continue;
            any = true;
            put_row<T>(work_.y0(sample), work_.dim, y, i);
            put_row<T>(carried_bar_.data() + (sample - trail_.first()) * work_.dim, work_.dim, k_bar, i);
            work_.put_terms(sample, buffers_.terms.data(), i);
            const double t0 = work_.times(sample).at(0);
            intervals_.set(i, t0, t0);
        }
        if (!any) return;
        intervals_.at(0, times_.data());
        evaluate<T>(work_.network, times_.data(), y, k_.data(), buffers_, &recording);
        pull_back<T>(work_.network, times_.data(), k_bar, x_bar_.data(), buffers_, recording, sums,
                     bars_.times_bar != nullptr ? t_bar : nullptr);
        add_weights<T>(work_.network, *work_.problem.field, recording_, 0, 1, turned_, sums);
        for (int i = 0; i < count; ++i) {
            const int64_t sample = base + i;
            if (trail_.last(sample) < 0) continue;
            T* bar = y0_bar(sample);
            for (int d = 0; d < work_.dim; ++d) bar[d] += x_bar_[d * BLOCK + i];
            if (bars_.times_bar != nullptr) add_time(0, sample, static_cast<double>(t_bar[i]));
            put_row_sums(i, sample, true);
        }
    }

    const neurode_pullback& bars_;
    Trail<T>& trail_;
    const Clock* const clocks_;
    // Rows of the steps of each lane among those of all; the last entry is their number.
    const int64_t* const first_step_;
    const int64_t lanes_;
    Readout<T> readout_;
    Readout<T>* polynomial_ = nullptr;
    Array<T> carried_bar_;
    // Who is in a place, also where it rests (sample_ is -1 then); steps made again of it.
    int64_t owner_[BLOCK], made_[BLOCK] = {};
    int64_t sample_[BLOCK], step_[BLOCK] = {}, left_[BLOCK] = {}, row_[BLOCK] = {}, inside_[BLOCK] = {},
                            first_row_[BLOCK] = {};
    typename Types<T>::Bits took_[BLOCK] __attribute__((aligned(64))) = {};
    Patience patience_;
    Recall<T>* recall_ = nullptr;
    // Samples from this one on were not pulled back through f(t0, y0) yet.
    int64_t unpulled_;
    // The turn of the way that is gone through; -1 where the way back has an order of its own.
    int64_t turn_;
    int64_t waiting_ = 0, most_made_ = 0;
    int busy_ = 0;
    bool some_rest_ = false;
};

}  // namespace NEURODE_VARIANT

#endif
