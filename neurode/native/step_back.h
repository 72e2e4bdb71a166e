// One step of a block of samples, back: made again with its inside recorded, and pulled back exactly.
#ifndef NEURODE_STEP_BACK_H
#define NEURODE_STEP_BACK_H

#include "recall.h"

namespace NEURODE_VARIANT {

// What a worker of the way back holds of a block, and the arithmetic on it.
template <class T>
class StepBack {
public:
    Sums<T> sums;

protected:
    explicit StepBack(const Work<T>& work)
        : sums(work.network),
          work_(work),
          buffers_(work.network),
          recording_(work.network, work.tableau.stages),
          numbers_(static_cast<int64_t>(work.dim) * BLOCK),
          padded_(whole_features(work.dim) * BLOCK),
          y_(padded_),
          y_bar_(padded_),
          next_bar_(padded_),
          y1_bar_(padded_),
          x_bar_(padded_),
          k_(numbers_ * work.tableau.stages),
          k_bar_(numbers_ * work.tableau.stages),
          argument_(padded_),
          times_(BLOCK * work.tableau.stages),
          turned_(turned_numbers<T>(work.network, work.tableau.stages)) {}

    // The stages of the step, recorded.
    void make_again(int first) {
        for (int s = first; s < work_.tableau.stages; ++s) {
            const Recording<T> recording = recording_.stage(s);
            T *argument = recording.input[0], *times = times_.data() + s * BLOCK;
            if (s > 0)
                combine<T>(y_.data(), intervals_.size, work_.tableau.a(s), s, k_.data(), numbers_, argument);
            else
                memcpy(static_cast<void*>(argument), y_.data(), static_cast<size_t>(numbers_) * sizeof(T));
            intervals_.at(work_.tableau.nodes[s], times);
            evaluate<T>(work_.network, times, argument, k_.data() + s * numbers_, buffers_, &recording);
        }
    }

    // The inside of the step as it was kept.
    void take_again(const T* slopes) {
        const int stages = work_.tableau.stages;
        memcpy(static_cast<void*>(k_.data()), slopes, static_cast<size_t>(numbers_ * stages) * sizeof(T));
        for (int s = 0; s < stages; ++s) intervals_.at(work_.tableau.nodes[s], times_.data() + s * BLOCK);
    }

    // From gradients of what the steps end with to those of their ends alone, and of nothing else yet.
    void begin_bars() {
        memcpy(static_cast<void*>(y1_bar_.data()), y_bar_.data(), static_cast<size_t>(numbers_) * sizeof(T));
        memset(static_cast<void*>(k_bar_.data()), 0, static_cast<size_t>(k_bar_.size()) * sizeof(T));
        memset(static_cast<void*>(y_bar_.data()), 0, static_cast<size_t>(numbers_) * sizeof(T));
    }

    // Places that take no part in the step have no gradients meanwhile. took: which do.
    void set_aside(const typename Types<T>::Bits* took) {
        if (aside_.size() == 0) aside_.resize(2 * padded_);
        for (int64_t n = 0; n < numbers_; n += WIDTH<T>) {
            const Int<T> mask = *reinterpret_cast<const Int<T>*>(took + n % BLOCK);
            T* const bars[2] = {y_bar_.data() + n, next_bar_.data() + n};
            for (int which = 0; which < 2; ++which) {
                const Vec<T> bar = load<T>(bars[which]), none = broadcast<T>(0);
                store<T>(aside_.data() + which * padded_ + n, select<T>(mask, none, bar));
                store<T>(bars[which], select<T>(mask, bar, none));
            }
        }
    }
    void give_back() {
        add(aside_.data(), nullptr, 1, y_bar_.data());
        add(aside_.data() + padded_, nullptr, 1, next_bar_.data());
    }

    void add(const T* x, const T* size, T factor, T* to) {
        for (int64_t n = 0; n < numbers_; n += WIDTH<T>) {
            const Vec<T> value = size == nullptr ? load<T>(x + n) : load<T>(x + n) * load<T>(size + n % BLOCK) * factor;
            store<T>(to + n, load<T>(to + n) + value);
        }
    }

    // size_bar += sum over the state of x_bar sum_j weights[j] k[j]
    void pull_size(const T* x_bar, const T* weights, int count) {
        T ones[BLOCK] __attribute__((aligned(64)));
        for (T& one : ones) one = 1;
        combine<T>(nullptr, ones, weights, count, k_.data(), numbers_, argument_.data());
        for (int64_t n = 0; n < numbers_; ++n)
            size_bar_[n % BLOCK] += static_cast<double>(x_bar[n]) * static_cast<double>(argument_[n]);
    }

    // From gradients of the end and of all slopes to those of the beginning: into y_bar_ and the slope handed over.
    void pull_stages(int first, bool timed) {
        const Tableau<T>& tableau = work_.tableau;
        const int last = tableau.stages - 1;
        if (tableau.fsal) {
            add(next_bar_.data(), nullptr, 1, k_bar_.data() + last * numbers_);
        } else {
            add(y1_bar_.data(), nullptr, 1, y_bar_.data());
            for (int j = 0; j <= last; ++j)
                if (tableau.b()[j] != 0)
                    add(y1_bar_.data(), intervals_.size, tableau.b()[j], k_bar_.data() + j * numbers_);
            if (timed) pull_size(y1_bar_.data(), tableau.b(), tableau.stages);
        }
        for (int s = last; s >= first; --s) {
            T t_bar[BLOCK] __attribute__((aligned(64))) = {};
            pull_back<T>(work_.network, times_.data() + s * BLOCK, k_bar_.data() + s * numbers_, x_bar_.data(),
                         buffers_, recording_.stage(s), sums, timed ? t_bar : nullptr);
            if (tableau.fsal && s == last) add(y1_bar_.data(), nullptr, 1, x_bar_.data());
            add(x_bar_.data(), nullptr, 1, y_bar_.data());
            for (int j = 0; j < s; ++j)
                if (tableau.a(s)[j] != 0)
                    add(x_bar_.data(), intervals_.size, tableau.a(s)[j], k_bar_.data() + j * numbers_);
            if (!timed) continue;
            if (s > 0) pull_size(x_bar_.data(), tableau.a(s), s);
            for (int i = 0; i < BLOCK; ++i) {
                start_bar_[i] += (1 - tableau.nodes[s]) * static_cast<double>(t_bar[i]);
                end_bar_[i] += tableau.nodes[s] * static_cast<double>(t_bar[i]);
            }
        }
        if (tableau.fsal)
            memcpy(static_cast<void*>(next_bar_.data()), k_bar_.data(), static_cast<size_t>(numbers_) * sizeof(T));
    }

    const Work<T>& work_;
    Buffers<T> buffers_;
    StepRecording<T> recording_;
    Intervals<T> intervals_;
    const int64_t numbers_, padded_;
    Array<T> y_, y_bar_, next_bar_, y1_bar_, x_bar_, k_, k_bar_, argument_, times_, turned_, aside_;
    double start_bar_[BLOCK] = {}, end_bar_[BLOCK] = {}, size_bar_[BLOCK] = {};
};

}  // namespace NEURODE_VARIANT

#endif
