// States that were let go, made again on the way back from those that were kept.
//
// Each place of a block goes its own way, from its last kept state to the one that its next step back begins at, while
// places that have arrived wait. Jointly they all go the same way, which the first one stands for.
#ifndef NEURODE_RECALL_H
#define NEURODE_RECALL_H

#include "solve.h"

namespace NEURODE_VARIANT {

template <class T>
class Recall {
public:
    // buffers: those of the worker, which hold the terms of its samples.
    Recall(const Work<T>& work, Trail<T>& trail, Buffers<T>& buffers)
        : work_(work),
          trail_(trail),
          buffers_(buffers),
          end_(whole_features(work.dim) * BLOCK) {
        if (work_.joint && trail_.last(trail_.first()) >= 0) collect(trail_.last(trail_.first()), whole_);
    }

    // A sample that took `steps` takes the place.
    void begin(int place, int64_t sample, int64_t steps) {
        if (work_.joint && place > 0) return;
        Way& way = ways_[place];
        way.calls = 0;
        way.most = slots_after(work_.problem.slots, steps);
        if (!work_.joint) return collect(trail_.last(sample), way);
        way.copy(whole_);
        // Whatever the samples before it have left there: the rows of a block are its own.
        trail_.free_rows.clear();
        for (int64_t row = trail_.rows() - 1; row >= 0; --row)
            if (!way.has(row)) trail_.free_rows.push(row);
    }

    // The states that the steps number left - 1 of the samples began at, into y and the first of k. False: patience
    // ended first; call again with the same y and k.
    bool reach(const int64_t* samples, const int64_t* left, T* y, T* k, Patience& patience) {
        if (!under_way_) set_out(samples, left, y, k);
        under_way_ = true;
        while (advance(samples, y, k)) {
            for (int i = 0; i < BLOCK; ++i)
                if (samples[i] >= 0 && leader(i) == i) arrive(i, samples, left[i], y, k);
            if (patience.is_over()) return false;
        }
        under_way_ = false;
        return true;
    }

    // Of the sample in this place the step number `left` was undone.
    void undone(int place, int64_t left) {
        if (leader(place) != place) return;
        Way& way = ways_[place];
        most_calls = way.calls > most_calls ? way.calls : most_calls;
        if (left == 0 || way.positions.last() != left) return;
        way.positions.pop();
        way.steps.pop();
        trail_.free_rows.push(way.rows.pop());
    }

    // Calls of the field for the sample that needed most.
    int64_t most_calls = 0;

private:
    // positions, steps, rows: what is kept. at, step: the state in hand; goal: where it goes, to be kept there or not.
    struct Way {
        List positions, steps, rows;
        int64_t at = 0, step = 0, goal = 0, calls = 0, most = 0;
        bool keeping = false;

        bool has(int64_t row) const {
            for (int64_t i = 0; i < rows.count(); ++i)
                if (rows[i] == row) return true;
            return false;
        }
        void copy(const Way& from) {
            positions.copy(from.positions);
            steps.copy(from.steps);
            rows.copy(from.rows);
        }
    };

    int leader(int place) const { return work_.joint ? 0 : place; }

    // To the last kept states.
    void set_out(const int64_t* samples, const int64_t* left, T* y, T* k) {
        for (int i = 0; i < BLOCK; ++i) {
            if (samples[i] < 0) continue;
            Way& way = ways_[leader(i)];
            if (leader(i) == i) {
                way.at = way.positions.last();
                way.step = way.steps.last();
                aim(way, left[i]);
            }
            const T* from = trail_.in_row(way.rows.last(), samples[i]);
            put_row<T>(from, work_.dim, y, i);
            if (work_.tableau.fsal) put_row<T>(from + work_.dim, work_.dim, k, i);
        }
    }

    // The kept states of a chain of steps. All but the first are used up: another way back begins there.
    void collect(int64_t last, Way& way) {
        way.positions.clear();
        way.steps.clear();
        way.rows.clear();
        int64_t first = last;
        while (trail_.mark(first).previous >= 0) first = trail_.mark(first).previous;
        int64_t number = 0;
        for (int64_t step = first; step >= 0; step = trail_.mark(step).next, ++number) {
            const int64_t row = trail_.mark(step).state;
            if (row < 0) continue;
            way.positions.push(number);
            way.steps.push(step);
            way.rows.push(row);
            if (number > 0) trail_.let_go(step);
        }
    }

    void aim(Way& way, int64_t left) {
        const int64_t length = left - way.positions.last(), free = way.most - way.positions.count();
        way.keeping = length > 1 && free > 0;
        way.goal = way.keeping ? way.positions.last() + split(length, free + 1) : left - 1;
    }

    // One step for the places that are not there yet; false where all are.
    bool advance(const int64_t* samples, T* y, T* k) {
        const int64_t numbers = static_cast<int64_t>(work_.dim) * BLOCK;
        typename Types<T>::Bits moves[BLOCK] __attribute__((aligned(64))) = {};
        bool any = false;
        for (int i = 0; i < BLOCK; ++i) {
            intervals_.set(i, intervals_.t[i], intervals_.t[i]);
            if (samples[i] < 0) continue;
            const Way& way = ways_[leader(i)];
            if (way.at == way.goal) continue;
            const Interval& interval = trail_.mark(way.step).interval;
            intervals_.set(i, interval.t, interval.t_end);
            moves[i] = -1;
            any = true;
        }
        if (!any) return false;
        const int handed = work_.tableau.fsal ? 1 : 0;
        const BlockState<T> state = {y, k, end_.data()};
        make_step<T>(work_.network, work_.tableau, intervals_, state, handed, buffers_, nullptr);
        const T* last = k + (work_.tableau.stages - 1) * numbers;
        for (int64_t n = 0; n < numbers; n += WIDTH<T>) {
            const Int<T> mask = *reinterpret_cast<const Int<T>*>(moves + n % BLOCK);
            store<T>(y + n, select<T>(mask, load<T>(end_.data() + n), load<T>(y + n)));
            if (handed) store<T>(k + n, select<T>(mask, load<T>(last + n), load<T>(k + n)));
        }
        return true;
    }

    // A place has made a step, or waited.
    void arrive(int place, const int64_t* samples, int64_t left, const T* y, const T* k) {
        Way& way = ways_[place];
        if (way.at == way.goal) return;
        // With f(t0, y0) in hand the first step of any method has one call less.
        const bool known = work_.tableau.fsal || (way.at == 0 && (work_.adaptive || work_.problem.probed));
        way.calls += work_.tableau.stages - (known ? 1 : 0);
        ++way.at;
        way.step = trail_.mark(way.step).next;
        if (way.at != way.goal || !way.keeping) return;
        const int64_t row = trail_.free_rows.count() > 0 ? trail_.free_rows.pop() : trail_.new_row();
        for (int i = place; i < (work_.joint ? BLOCK : place + 1); ++i) {
            if (samples[i] < 0) continue;
            T* to = trail_.in_row(row, samples[i]);
            take_row<T>(y, i, work_.dim, to);
            if (work_.tableau.fsal) take_row<T>(k, i, work_.dim, to + work_.dim);
        }
        way.positions.push(way.at);
        way.steps.push(way.step);
        way.rows.push(row);
        aim(way, left);
    }

    const Work<T>& work_;
    Trail<T>& trail_;
    Buffers<T>& buffers_;
    Array<T> end_;
    Intervals<T> intervals_;
    Way whole_, ways_[BLOCK];
    bool under_way_ = false;
};

}  // namespace NEURODE_VARIANT

#endif
