// What a solve keeps for the way back: the accepted steps of each lane and the states they began at.
#ifndef NEURODE_TRAIL_H
#define NEURODE_TRAIL_H

#include "controller.h"
#include "recording.h"

namespace NEURODE_VARIANT {

// An accepted step; previous: the number of the lane's one before, -1 for none.
struct Mark {
    Interval interval;
    int64_t previous;
};

// The samples of one worker. Per sample: a chain of steps for each. Jointly: one chain, and a step's rows of all
// samples.
template <class T>
class Trail {
public:
    // carried: does a step begin with a slope handed over?
    // stages: how many slopes of each step are kept as well.
    void shape(int64_t first, int64_t count, int dim, bool carried, bool joint, int stages) {
        first_ = first;
        count_ = count;
        joint_ = joint;
        row_ = dim * (carried ? 2 : 1);
        constexpr int64_t bytes = 4096;
        states_.shape(joint ? row_ * count : row_, bytes);
        slopes_.shape(static_cast<int64_t>(stages) * dim * (joint ? count : 1), bytes);
        marks_.shape(1, bytes);
        of_sample_ = static_cast<int64_t>(stages) * dim;
        last_.resize(joint ? 1 : count);
        for (int64_t i = 0; i < last_.size(); ++i) last_[i] = -1;
        end_.resize(count * dim);
    }
    // A step of the sample (of all samples, jointly: sample = first): where its state goes.
    T* add(int64_t sample, const Interval& interval) {
        int64_t& last = last_[joint_ ? 0 : sample - first_];
        *marks_.add() = {interval, last};
        last = marks_.count() - 1;
        return states_.add();
    }
    // Beside it, where they are kept: all slopes of the step last added, (stages, dim) a sample.
    T* add_slopes() { return slopes_.add(); }
    const T* slopes(int64_t step, int64_t sample) const {
        return slopes_.at(step) + (joint_ ? (sample - first_) * of_sample_ : 0);
    }
    int64_t last(int64_t sample) const { return last_[joint_ ? 0 : sample - first_]; }
    const Mark& mark(int64_t step) const { return *marks_.at(step); }
    // y and the slope handed over, of a sample that took the step.
    const T* state(int64_t step, int64_t sample) const {
        return states_.at(step) + (joint_ ? (sample - first_) * row_ : 0);
    }
    // The last state of a sample.
    T* end(int64_t sample, int dim) { return end_.data() + (sample - first_) * dim; }
    const T* end(int64_t sample, int dim) const { return end_.data() + (sample - first_) * dim; }
    int64_t first() const { return first_; }
    int64_t count() const { return count_; }
    int64_t bytes() const {
        return activations.bytes() + states_.bytes() + slopes_.bytes() + marks_.bytes() + end_.size() * static_cast<int64_t>(sizeof(T));
    }

    // Of a joint solve: the inside of its first steps.
    Activations<T> activations;

private:
    int64_t first_ = 0, count_ = 0, row_ = 0, of_sample_ = 0;
    bool joint_ = false;
    Rows<T> states_, slopes_;
    Rows<Mark> marks_;
    Array<int64_t> last_;
    Array<T> end_;
};

}  // namespace NEURODE_VARIANT

#endif
