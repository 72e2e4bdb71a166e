// What a solve keeps for the way back: the accepted steps of each lane and the states they began at.
#ifndef NEURODE_TRAIL_H
#define NEURODE_TRAIL_H

#include "controller.h"
#include "recording.h"
#include "schedule.h"

namespace NEURODE_VARIANT {

// An accepted step; previous, next: numbers of the lane's steps beside it, -1 for none. state: the row of the state it
// began at, -1 where that was let go.
struct Mark {
    Interval interval;
    int64_t previous, next, state;
};

// Per sample, an attempted step of the samples in the places of a block: who they are, and the steps that they took (-1:
// the place was empty, or its step was not accepted).
struct Turn {
    int64_t sample[BLOCK], step[BLOCK];
};

// Of a lane that keeps some of its states: which, the rows they lie in, and the numbers of the steps they began.
struct KeptStates {
    OnlineSchedule schedule;
    List rows, steps;

    void begin(int64_t slots) {
        schedule.begin(slots);
        rows.clear();
        steps.clear();
    }
};

// The samples of one worker. Per sample: a chain of steps for each. Jointly: one chain, and a step's rows of all
// samples.
template <class T>
class Trail {
public:
    // carried: does a step begin with a slope handed over?
    // stages: how many slopes of each step are kept as well.
    // few: are only some states kept, so that they are best allocated one by one?
    void shape(int64_t first, int64_t count, int dim, bool carried, bool joint, int stages, bool few) {
        first_ = first;
        count_ = count;
        joint_ = joint;
        row_ = dim * (carried ? 2 : 1);
        constexpr int64_t bytes = 4096;
        states_.shape(joint ? row_ * count : row_, few && joint ? 0 : bytes);
        slopes_.shape(static_cast<int64_t>(stages) * dim * (joint ? count : 1), bytes);
        marks_.shape(1, bytes);
        turns_.shape(1, bytes);
        of_sample_ = static_cast<int64_t>(stages) * dim;
        last_.resize(joint ? 1 : count);
        for (int64_t i = 0; i < last_.size(); ++i) last_[i] = -1;
        end_.resize(count * dim);
    }
    // A step of the sample (of all samples, jointly: sample = first): where its state goes. kept: null where every state
    // is kept; with it the result may be null: not to be kept.
    T* add(int64_t sample, const Interval& interval, KeptStates* kept) {
        int64_t& last = last_[joint_ ? 0 : sample - first_];
        const int64_t number = marks_.count();
        *marks_.add() = {interval, last, -1, -1};
        if (last >= 0) marks_.at(last)->next = number;
        last = number;
        int64_t row;
        if (kept != nullptr) {
            const int64_t place = kept->schedule.offer();
            if (place == OnlineSchedule::NOT_KEPT) return nullptr;
            row = place == OnlineSchedule::NONE_DROPPED ? new_row() : kept->rows[place];
            if (place != OnlineSchedule::NONE_DROPPED) {
                let_go(kept->steps[place]);
                kept->rows.remove(place);
                kept->steps.remove(place);
            }
            kept->rows.push(row);
            kept->steps.push(number);
        } else {
            row = new_row();
        }
        marks_.at(number)->state = row;
        return states_.at(row);
    }
    int64_t new_row() {
        states_.add();
        return states_.count() - 1;
    }
    int64_t rows() const { return states_.count(); }
    // The state that a step began at is not there any more.
    void let_go(int64_t step) { marks_.at(step)->state = -1; }
    // Beside it, where they are kept: all slopes of the step last added, (stages, dim) a sample.
    T* add_slopes() { return slopes_.add(); }
    const T* slopes(int64_t step, int64_t sample) const {
        return slopes_.at(step) + (joint_ ? (sample - first_) * of_sample_ : 0);
    }
    int64_t last(int64_t sample) const { return last_[joint_ ? 0 : sample - first_]; }
    const Mark& mark(int64_t step) const { return *marks_.at(step); }
    // y and the slope handed over, of a sample that took the step.
    const T* state(int64_t step, int64_t sample) const {
        return states_.at(mark(step).state) + (joint_ ? (sample - first_) * row_ : 0);
    }
    // The same in a row.
    T* in_row(int64_t row, int64_t sample) { return states_.at(row) + (joint_ ? (sample - first_) * row_ : 0); }
    // Where the turns of a per-sample solve are kept beside their activations.
    Turn* add_turn() { return turns_.add(); }
    int64_t turns() const { return turns_.count(); }
    const Turn& turn(int64_t number) const { return *turns_.at(number); }
    // Is the way back to go through them, from the last to the first? Where few of them have their activations it is
    // better not bound to their order: steps that were not accepted cost nothing then.
    bool is_mirrored() const { return turns() > 0 && turns() <= 4 * activations.count(); }
    // The last state of a sample.
    T* end(int64_t sample, int dim) { return end_.data() + (sample - first_) * dim; }
    const T* end(int64_t sample, int dim) const { return end_.data() + (sample - first_) * dim; }
    int64_t first() const { return first_; }
    int64_t count() const { return count_; }
    int64_t bytes() const {
        return activations.bytes() + turns_.bytes() + states_.bytes() + slopes_.bytes() + marks_.bytes() +
               end_.size() * static_cast<int64_t>(sizeof(T));
    }

    // Of a joint solve the inside of its first steps, of others that of their first turns.
    Activations<T> activations;
    // Rows of states that a way back has no use for any more.
    List free_rows;

private:
    int64_t first_ = 0, count_ = 0, row_ = 0, of_sample_ = 0;
    bool joint_ = false;
    Rows<T> states_, slopes_;
    Rows<Mark> marks_;
    Rows<Turn> turns_;
    Array<int64_t> last_;
    Array<T> end_;
};

}  // namespace NEURODE_VARIANT

#endif
