// The inside of a step: its polynomial in time, read at output times, and the exact derivative of reading it.
//
// Samples are read at times of their own, so here a block is turned around: a row of features a sample.
#ifndef NEURODE_READOUT_H
#define NEURODE_READOUT_H

#include "step.h"
#include "transposed.h"

namespace NEURODE_VARIANT {

// rows (16, stride) back into a block; writes features up to a whole vector.
template <class T>
void transpose_back(const T* rows, int64_t stride, int features, T* block) {
    constexpr int width = WIDTH<T>;
    for (int f = 0; f < features; f += width) {
        for (int p = 0; p < PARTS<T>; ++p) {
            Vec<T> v[width];
#pragma GCC unroll 16
            for (int i = 0; i < width; ++i) v[i] = load<T>(rows + (p * width + i) * stride + f);
            exchange_all<T, 1>(v);
#pragma GCC unroll 16
            for (int i = 0; i < width; ++i) store<T>(block + (f + i) * BLOCK + p * width, v[i]);
        }
    }
}

// Powers of theta in a dense output, the zeroth among them.
constexpr int MOST_POWERS = 16;

template <class T>
class Readout {
public:
    Readout(const Network<T>& network, const Tableau<T>& tableau)
        : dim_(network.dim()),
          stride_(round_up<T>(network.dim())),
          degree_(tableau.degree),
          tableau_(tableau),
          block_(whole_features(network.dim()) * BLOCK),
          close_((tableau.degree + 1) * (BLOCK * network.dim() + WIDTH<T>)),
          rows_((tableau.degree + 1) * BLOCK * stride_) {}

    // The polynomial of the step from y with slopes k: y + sum_p theta^p size sum_s dense[s][p] k[s]. y: padded to
    // whole vectors of features. sized: with the size, or without.
    void make(const T* y, const T* k, const T* size) {
        const int64_t numbers = static_cast<int64_t>(dim_) * BLOCK;
        transpose<T>(y, dim_, rows_.data(), stride_);
        for (int power = 0; power < degree_; ++power) {
            T column[32];
            for (int s = 0; s < tableau_.stages; ++s) column[s] = tableau_.dense(s, power);
            combine<T>(nullptr, size, column, tableau_.stages, k, numbers, block_.data());
            transpose<T>(block_.data(), dim_, coefficients(power + 1), stride_);
        }
    }

    // Values of sample `lane` at the times of `count` rows from `next` on; row r goes to out + r step.
    void read(int lane, const Times& times, const Interval& interval, int64_t next, int64_t count, T* out,
              int64_t step) const {
        if (degree_ == 4)
            read_to<4>(lane, times, interval, next, count, out, step);
        else
            read_to<MOST_POWERS - 1>(lane, times, interval, next, count, out, step);
    }

    // The same of the first `count` samples, which are all read at the same times: their values of a row lie side by
    // side.
    void read_all(int count, const Times& times, const Interval& interval, int64_t next, int64_t rows, T* out,
                  int64_t step) {
        const int64_t numbers = static_cast<int64_t>(count) * dim_, apart = beside();
        for (int p = 0; p <= degree_; ++p)
            for (int lane = 0; lane < count; ++lane)
                memcpy(static_cast<void*>(close_.data() + p * apart + lane * dim_),
                       coefficients(p) + lane * stride_, static_cast<size_t>(dim_) * sizeof(T));
        const double length = interval.t_end - interval.t;
        for (int64_t r = 0; r < rows; ++r) {
            const T theta = static_cast<T>((times.at(next + r) - interval.t) / length);
            for (int64_t n = 0; n < numbers; n += WIDTH<T>) {
                Vec<T> sum = load<T>(close_.data() + degree_ * apart + n);
                for (int p = degree_ - 1; p >= 0; --p) sum = sum * theta + load<T>(close_.data() + p * apart + n);
                const int64_t left = numbers - n;
                put(out + r * step + n, sum, left < WIDTH<T> ? static_cast<int>(left) : WIDTH<T>);
            }
        }
    }

    // Of the reading at theta: sum_f bar[f] d value / d theta, and the same of value - y.
    void slopes(int lane, double theta, const T* bar, double& by_theta, double& moved) const {
        by_theta = moved = 0;
        const int64_t power = static_cast<int64_t>(BLOCK) * stride_;
        for (int f = 0; f < dim_; ++f) {
            double slope = 0, value = 0;
            for (int p = degree_; p >= 1; --p) {
                const double c = static_cast<double>(rows_[p * power + lane * stride_ + f]);
                slope = slope * theta + p * c;
                value = value * theta + c;
            }
            by_theta += slope * static_cast<double>(bar[f]);
            moved += value * theta * static_cast<double>(bar[f]);
        }
    }

    // The way back: forget, hear the gradient `bar` (dim) of a value read at theta, and pull all of them back.
    void forget() { memset(static_cast<void*>(rows_.data()), 0, static_cast<size_t>(rows_.size()) * sizeof(T)); }
    // Of `count` rows from `next` on; that of row r lies at bar + r step. end: of all there is behind bar.
    void hear(int lane, const Times& times, const Interval& interval, int64_t next, int64_t count, const T* bar,
              int64_t step, const T* end) {
        if (degree_ == 4)
            hear_to<4>(lane, times, interval, next, count, bar, step, end);
        else
            hear_to<MOST_POWERS - 1>(lane, times, interval, next, count, bar, step, end);
    }
    // The same of the first `count` samples, all read at the same times.
    void hear_all(int count, const Times& times, const Interval& interval, int64_t next, int64_t rows, const T* bar,
                  int64_t step, const T* end) {
        if (degree_ == 4)
            hear_all_to<4>(count, times, interval, next, rows, bar, step, end);
        else
            hear_all_to<MOST_POWERS - 1>(count, times, interval, next, rows, bar, step, end);
        for (int p = 0; p <= degree_; ++p)
            for (int lane = 0; lane < count; ++lane)
                memcpy(static_cast<void*>(coefficients(p) + lane * stride_),
                       close_.data() + p * beside() + lane * dim_, static_cast<size_t>(dim_) * sizeof(T));
    }
    // Adds to y_bar (dim, 16) and k_bar (stages, dim, 16). scratch: blocks, one a power.
    void pull(const T* size, T* y_bar, T* k_bar) {
        const int64_t numbers = static_cast<int64_t>(dim_) * BLOCK;
        for (int p = 0; p <= degree_; ++p) {
            T* heard = block_.data();
            transpose_back<T>(coefficients(p), stride_, dim_, heard);
            if (p == 0) {
                for (int64_t n = 0; n < numbers; n += WIDTH<T>)
                    store<T>(y_bar + n, load<T>(y_bar + n) + load<T>(heard + n));
                continue;
            }
            for (int s = 0; s < tableau_.stages; ++s) {
                const T weight = tableau_.dense(s, p - 1);
                if (weight == 0) continue;
                T* to = k_bar + s * numbers;
                for (int64_t n = 0; n < numbers; n += WIDTH<T>)
                    store<T>(to + n, load<T>(to + n) + load<T>(heard + n) * load<T>(size + n % BLOCK) * weight);
            }
        }
    }

private:
    T* coefficients(int power) { return rows_.data() + static_cast<int64_t>(power) * BLOCK * stride_; }
    // The same for a degree known at compile time, so that its coefficients stay in registers; MOST_POWERS - 1: any.
    template <int DEGREE>
    void read_to(int lane, const Times& times, const Interval& interval, int64_t next, int64_t count, T* out,
                 int64_t step) const {
        const int degree = DEGREE == MOST_POWERS - 1 ? degree_ : DEGREE;
        const T* row = rows_.data() + lane * stride_;
        const int64_t power = static_cast<int64_t>(BLOCK) * stride_;
        const double length = interval.t_end - interval.t;
        for (int64_t f = 0; f < stride_; f += WIDTH<T>) {
            const int left = dim_ - f < WIDTH<T> ? static_cast<int>(dim_ - f) : WIDTH<T>;
            Vec<T> c[DEGREE + 1];
            for (int p = 0; p <= degree; ++p) c[p] = load<T>(row + p * power + f);
            for (int64_t r = 0; r < count; ++r) {
                const T theta = static_cast<T>((times.at(next + r) - interval.t) / length);
                Vec<T> sum = c[degree];
                for (int p = degree - 1; p >= 0; --p) sum = sum * theta + c[p];
                put(out + r * step + f, sum, left);
            }
        }
    }
    template <int DEGREE>
    void hear_to(int lane, const Times& times, const Interval& interval, int64_t next, int64_t count, const T* bar,
                 int64_t step, const T* end) {
        const int degree = DEGREE == MOST_POWERS - 1 ? degree_ : DEGREE;
        const double length = interval.t_end - interval.t;
        for (int64_t f = 0; f < stride_; f += WIDTH<T>) {
            const int left = dim_ - f < WIDTH<T> ? static_cast<int>(dim_ - f) : WIDTH<T>;
            Int<T> mask;
            for (int i = 0; i < WIDTH<T>; ++i) mask[i] = i < left ? -1 : 0;
            Vec<T> sum[DEGREE + 1] = {};
            for (int64_t r = 0; r < count; ++r) {
                const T theta = static_cast<T>((times.at(next + r) - interval.t) / length);
                Vec<T> term = get(bar + r * step + f, left, mask, end);
                sum[0] += term;
                for (int p = 1; p <= degree; ++p) {
                    term *= theta;
                    sum[p] += term;
                }
            }
            for (int p = 0; p <= degree; ++p) store<T>(coefficients(p) + lane * stride_ + f, sum[p]);
        }
    }

    template <int DEGREE>
    void hear_all_to(int count, const Times& times, const Interval& interval, int64_t next, int64_t rows, const T* bar,
                     int64_t step, const T* end) {
        const int degree = DEGREE == MOST_POWERS - 1 ? degree_ : DEGREE;
        const int64_t numbers = static_cast<int64_t>(count) * dim_;
        const double length = interval.t_end - interval.t;
        for (int64_t n = 0; n < numbers; n += WIDTH<T>) {
            const int left = numbers - n < WIDTH<T> ? static_cast<int>(numbers - n) : WIDTH<T>;
            Int<T> mask;
            for (int i = 0; i < WIDTH<T>; ++i) mask[i] = i < left ? -1 : 0;
            Vec<T> sum[DEGREE + 1] = {};
            for (int64_t r = 0; r < rows; ++r) {
                const T theta = static_cast<T>((times.at(next + r) - interval.t) / length);
                Vec<T> term = get(bar + r * step + n, left, mask, end);
                sum[0] += term;
                for (int p = 1; p <= degree; ++p) {
                    term *= theta;
                    sum[p] += term;
                }
            }
            for (int p = 0; p <= degree; ++p) store<T>(close_.data() + p * beside() + n, sum[p]);
        }
    }
    // From the numbers of one power, sample beside sample, to those of the next.
    int64_t beside() const { return static_cast<int64_t>(BLOCK) * dim_ + WIDTH<T>; }

    // The first `left` numbers of a vector: what lies behind them belongs to another sample. In pieces of fixed size,
    // which are single moves.
    void put(T* out, Vec<T> value, int left) const {
        if (left == WIDTH<T>) return store<T>(out, value);
        T numbers[WIDTH<T>] __attribute__((aligned(NEURODE_VECTOR_BYTES)));
        store<T>(numbers, value);
        int at = 0;
        if (WIDTH<T> > 8 && (left & 8)) __builtin_memcpy(static_cast<void*>(out), numbers, 8 * sizeof(T)), at = 8;
        if (WIDTH<T> > 4 && (left & 4))
            __builtin_memcpy(static_cast<void*>(out + at), numbers + at, 4 * sizeof(T)), at += 4;
        if (WIDTH<T> > 2 && (left & 2))
            __builtin_memcpy(static_cast<void*>(out + at), numbers + at, 2 * sizeof(T)), at += 2;
        if (left & 1) out[at] = numbers[at];
    }
    Vec<T> get(const T* from, int left, Int<T> mask, const T* end) const {
        if (left == WIDTH<T>) return load<T>(from);
        if (from + WIDTH<T> <= end) return of_bits<T>(bits_of<T>(load<T>(from)) & mask);
        Vec<T> value{};
        for (int i = 0; i < left; ++i) value[i] = from[i];
        return value;
    }

    const int dim_;
    const int64_t stride_;
    const int degree_;
    const Tableau<T>& tableau_;
    Array<T> block_, close_, rows_;
};

}  // namespace NEURODE_VARIANT

#endif
