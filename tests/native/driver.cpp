// Solves and pulls back small problems through the C interface, in every variant, both precisions, with several threads
// in a solve and several solves at once: for `make sanitize`, which looks on. Exits with 1 where a gradient is wrong.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <thread>
#include <vector>

#include "neurode.h"

namespace {

const double euler_a[] = {0}, euler_b[] = {1}, euler_c[] = {0}, euler_dense[] = {1};
// Bogacki and Shampine (1989), with its first-same-as-last stage and Hermite dense output.
const double bosh_a[] = {0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0.75, 0, 0, 2. / 9, 1. / 3, 4. / 9, 0};
const double bosh_b[] = {2. / 9, 1. / 3, 4. / 9, 0}, bosh_c[] = {0, 0.5, 0.75, 1};
const double bosh_error[] = {2. / 9 - 7. / 24, 1. / 3 - 1. / 4, 4. / 9 - 1. / 3, -1. / 8};
const double bosh_dense[] = {1, -4. / 3, 5. / 9, 0, 1, -2. / 3, 0, 4. / 3, -8. / 9, 0, -1, 1};
const double nan_ = std::numeric_limits<double>::quiet_NaN();

template <class Real>
struct Case {
    int samples, dim, hidden, activation, joint, adaptive, save, threads, times_each;
    bool rows, broken, ragged;
    int64_t slots;
    double patience;

    std::vector<Real> numbers(size_t count, double scale, unsigned seed) const {
        std::vector<Real> found(count);
        for (size_t i = 0; i < count; i++) {
            seed = seed * 1664525u + 1013904223u;
            found[i] = Real(scale * (double(seed >> 8) / (1 << 24) - 0.5));
        }
        return found;
    }

    // The sum of all finite values; with `bars`, gradients of it go to y0_bar.
    double run(const std::vector<Real>& y0, std::vector<Real>* y0_bar) const {
        auto w1 = numbers(size_t(hidden) * dim, 1, 1), w2 = numbers(size_t(dim) * hidden, 1, 2);
        auto b1 = numbers(size_t(rows ? samples : 1) * hidden, 1, 3), b2 = numbers(dim, 1, 4), t1 = numbers(hidden, 1, 5);
        std::vector<Real> w1g(w1.size()), w2g(w2.size()), b1g(b1.size()), b2g(b2.size()), t1g(t1.size());
        neurode_term first[] = {{b1.data(), b1g.data(), rows ? hidden : 0, 1, 1, NEURODE_CLOCK_ONE, 0},
                                {t1.data(), t1g.data(), 0, 1, 3, NEURODE_CLOCK_SIN, 0}};
        neurode_term second[] = {{b2.data(), b2g.data(), 0, 1, 1, NEURODE_CLOCK_ONE, 0}};
        neurode_layer layers[] = {{w1.data(), w1g.data(), first, dim, 1, 0, dim, hidden, activation, 2},
                                  {w2.data(), w2g.data(), second, hidden, 1, 0, hidden, dim, NEURODE_TANH, 1}};
        neurode_field field = {layers, 1.5, -0.5, dim, 2};
        neurode_method method = adaptive ? neurode_method{bosh_a, bosh_b, bosh_c, bosh_error, bosh_dense, 4, 3, 1, 3, 3, 0}
                                         : neurode_method{euler_a, euler_b, euler_c, nullptr, euler_dense, 1, 1, 0, 1, 0, 0};
        neurode_control control = {0, 1, 0, 0.9, 0.2, 10, 0, 1e300, nan_, 0.13, 1e-3, 1e-4, nullptr, nullptr, 1000, adaptive, 0};
        std::vector<double> times;
        std::vector<int64_t> lengths;
        const int lanes = joint ? 1 : samples;
        for (int lane = 0; lane < lanes; lane++) {
            for (int i = 0; i < times_each; i++) times.push_back(0.25 * i * (1 + lane % 3));
            lengths.push_back(ragged && lane % 2 ? times_each - 1 : times_each);
            if (ragged && lane % 2) times.back() = nan_;
        }
        neurode_problem problem = {&field, &method, &control, y0.data(), times.data(), ragged ? lengths.data() : nullptr,
                                   samples, times_each, joint ? 0 : times_each, 100000, slots, patience, sizeof(Real) == 8, joint, save, 0, 1, threads};
        std::vector<double> ends(2 * lanes);
        std::vector<int64_t> counts(5 * lanes);
        const int64_t* accepted = counts.data() + lanes;
        size_t count = save == NEURODE_SAVE_TS ? times_each : 1;
        std::vector<Real> values(count * samples * dim), bar;
        neurode_outcome outcome = {save == NEURODE_SAVE_STEPS ? nullptr : values.data(), ends.data(), counts.data()};
        neurode_solve* solve = nullptr;
        int32_t answer;
        while ((answer = neurode_forward(&problem, &outcome, &solve)) != NEURODE_DONE)
            if (answer != NEURODE_UNFINISHED) std::abort();
        if (save == NEURODE_SAVE_STEPS) {
            count = 1;
            for (int lane = 0; lane < lanes; lane++) count = std::max(count, size_t(accepted[lane]) + 1);
            values.assign(count * samples * dim, 0);
            neurode_steps(&problem, solve, int64_t(count), values.data());
        }
        double sum = 0;
        for (Real value : values) {
            bar.push_back(std::isfinite(value) ? Real(1) : Real(0));
            if (std::isfinite(value)) sum += value;
        }
        if (y0_bar != nullptr) {
            y0_bar->assign(y0.size(), 0);
            std::vector<double> times_bar(times.size());
            neurode_pullback bars = {bar.data(), nullptr, nullptr, y0_bar->data(), times_bar.data(), 0};
            neurode_way_back* way = nullptr;
            // One that is given up, and two to the end.
            if (patience > 0 && neurode_backward(&problem, solve, &bars, &way) == NEURODE_UNFINISHED) neurode_abandon(way);
            way = nullptr;
            for (int again = 0; again < 2; again++) {
                std::fill(times_bar.begin(), times_bar.end(), 0);
                while ((answer = neurode_backward(&problem, solve, &bars, &way)) != NEURODE_DONE)
                    if (answer != NEURODE_UNFINISHED) std::abort();
            }
            std::vector<double> t(accepted[0]), t_end(accepted[0]);
            std::vector<int64_t> anchor(accepted[0]), anchor_end(accepted[0]);
            neurode_accepted(solve, 0, accepted[0], t.data(), t_end.data(), anchor.data(), anchor_end.data());
        }
        neurode_free(solve);
        return sum;
    }

    bool holds() const {
        auto y0 = numbers(size_t(samples) * dim, 2, 6);
        if (broken) y0[y0.size() / 2] = std::numeric_limits<Real>::quiet_NaN();
        std::vector<Real> gradient;
        run(y0, &gradient);
        if (broken || adaptive || sizeof(Real) == 4) return true;  // steps move, or rounding drowns a difference
        const double size = 1e-6;
        auto up = y0, down = y0;
        up[0] += size, down[0] -= size;
        const double due = (run(up, nullptr) - run(down, nullptr)) / (2 * size);
        if (std::abs(due - double(gradient[0])) < 1e-6 * (1 + std::abs(due))) return true;
        std::fprintf(stderr, "gradient %g, but the difference is %g\n", double(gradient[0]), due);
        return false;
    }
};

template <class Real>
int wrong() {
    int found = 0;
    for (int samples : {1, 7, 33})
        for (int hidden : {1, 5, 64})
            for (int joint : {0, 1})
                for (int adaptive : {0, 1})
                    for (int save : {NEURODE_SAVE_TS, NEURODE_SAVE_END, NEURODE_SAVE_STEPS})
                        for (int broken : {0, 1}) {
                            const int activation = (samples + hidden + save + joint) % 11, dim = 1 + (samples + hidden) % 5;
                            Case<Real> one = {samples, dim, hidden, activation, joint, adaptive, save, 1 + samples % 4, 4,
                                              hidden == 5, broken == 1, joint == 0 && save == NEURODE_SAVE_TS, 0, 0};
                            found += !one.holds();
                            // Two states, and as many as the logarithm of the steps; in many slices.
                            one.slots = samples == 7 ? -1 : 2, one.patience = 1e-9;
                            found += !one.holds();
                        }
    return found;
}

}  // namespace

int main() {
    int found = 0, variants = 0;
    for (const char* name : {"baseline", "neon", "avx2", "avx512"}) {
        if (!neurode_use_variant(name)) continue;
        variants++;
        int results[3] = {0, 0, 0};
        std::thread first([&] { results[0] = wrong<float>(); }), second([&] { results[1] = wrong<double>(); });
        results[2] = wrong<double>();
        first.join(), second.join();
        found += results[0] + results[1] + results[2];
        std::printf("%s: %d wrong\n", neurode_variant_name(), results[0] + results[1] + results[2]);
    }
    return found != 0 || variants == 0;
}
