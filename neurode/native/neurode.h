/* The kernel's plain C interface: whole solves of fields made of affine layers and activations, and their exact reverse
 * pass. Python fills these structs by ctypes (neurode/fused/interface.py mirrors them; NEURODE_ABI counts changes).
 *
 * Samples are the rows of the state (all its axes but the last); dim is the last axis. Numbers of the state's type are
 * void pointers: float32 or float64 by `dtype`. Nothing here is kept beyond a call, except what a neurode_solve owns.
 */
#ifndef NEURODE_H
#define NEURODE_H

#include <stdint.h>

#define NEURODE_ABI 7

#ifdef __cplusplus
extern "C" {
#endif

enum neurode_activation_kind {
    NEURODE_IDENTITY,
    NEURODE_TANH,
    NEURODE_SILU,
    NEURODE_SOFTPLUS,
    NEURODE_RELU,
    NEURODE_ELU,
    NEURODE_GELU,
    NEURODE_GELU_TANH,
    NEURODE_SIN,
    NEURODE_SQUARE,
    NEURODE_CUBE
};
enum neurode_clock { NEURODE_CLOCK_T, NEURODE_CLOCK_SIN, NEURODE_CLOCK_COS, NEURODE_CLOCK_ONE };
enum neurode_status { NEURODE_SUCCESS, NEURODE_MAX_STEPS, NEURODE_STEP_TOO_SMALL, NEURODE_NON_FINITE, NEURODE_RUNNING };
enum neurode_save { NEURODE_SAVE_TS, NEURODE_SAVE_END, NEURODE_SAVE_STEPS, NEURODE_SAVE_DENSE };

/* A part of a layer's bias: clock(rate t) weight. weight: (out), or a row a sample (row_stride not 0). Strides count
 * numbers. gradient: contiguous, of the same shape; null if unwanted. */
typedef struct {
    const void* weight;
    void* gradient;
    int64_t row_stride, stride;
    double rate;
    int32_t clock, padding;
} neurode_term;

/* x -> activation(weight x + terms) + skip x. weight: (out, in) by strides. gradient: contiguous, null if unwanted. */
typedef struct {
    const void* weight;
    void* gradient;
    neurode_term* terms;
    int64_t out_stride, in_stride;
    double skip;
    int32_t in, out, activation, num_terms;
} neurode_layer;

/* dy/dt = scale layers(y) + skip y */
typedef struct {
    neurode_layer* layers;
    double scale, skip;
    int32_t dim, num_layers;
} neurode_field;

/* A Butcher tableau: a (stages, stages), b, c, error (stages; null without estimate), dense (stages, degree). */
typedef struct {
    const double *a, *b, *c, *error, *dense;
    int32_t stages, degree, fsal, order, error_order, padding;
} neurode_method;

/* Steps by the error (adaptive) or constant; step_size NaN: from one output time to the next. first_step NaN: chosen.
 * rtol_rows, atol_rows: (samples, dim) in place of the numbers, or null. */
typedef struct {
    double proportional, integral, derivative, safety, factor_min, factor_max, min_step, max_step, first_step;
    double step_size, rtol, atol;
    const void *rtol_rows, *atol_rows;
    int64_t max_steps;
    int32_t adaptive, padding;
} neurode_control;

/* joint: one step size for all. times: (num_times) of each sample, those of the next one time_stride further (0: the
 * same for all). lengths: (samples) how many each has, or null. probed: f(t0, y0) counts as called for every sample.
 * keep: for the reverse pass. activation_bytes: so many may be spent on activations that it then need not compute
 * again. slots: states that it may keep of each lane, 0 for all, -1 for twice the binary digits of the number of steps;
 * the others are made again (not with save steps and dense, which need all). patience: seconds after which a call comes
 * back unfinished, 0 for never. */
typedef struct {
    const neurode_field* field;
    const neurode_method* method;
    const neurode_control* control;
    const void* y0;
    const double* times;
    const int64_t* lengths;
    int64_t samples, num_times, time_stride, activation_bytes, slots;
    double patience;
    int32_t dtype, joint, save, probed, keep, threads;
} neurode_problem;

/* values: (rows, samples, dim), every number is written (NaN where not reached); for save steps null, see
 * neurode_steps. times (2, lanes): reached, size of the next step. counts (5, lanes): attempted steps, accepted
 * ones, rejected ones, calls of f, status. A lane is a sample, or the one of a joint solve. */
typedef struct {
    void* values;
    double* times;
    int64_t* counts;
} neurode_outcome;

/* values_bar: as values. starts_bar, stages_bar: as neurode_dense gives them, or null. y0_bar: (samples, dim).
 * times_bar: float64, (num_times) jointly and (num_times, samples) per sample, null if unwanted. Gradients of weights
 * and terms go where the field's structs point. evaluations: written, calls of f on the way back, as the eager engine
 * counts them. */
typedef struct {
    const void *values_bar, *starts_bar, *stages_bar;
    void* y0_bar;
    double* times_bar;
    int64_t evaluations;
} neurode_pullback;

typedef struct neurode_solve neurode_solve;
typedef struct neurode_way_back neurode_way_back;
enum neurode_answer { NEURODE_DONE, NEURODE_UNFINISHED, NEURODE_OUT_OF_MEMORY = -1 };

#define NEURODE_API __attribute__((visibility("default")))

NEURODE_API int32_t neurode_abi(void);

/* Threads from an OpenMP runtime: its GOMP_parallel, omp_get_thread_num, omp_get_num_threads, omp_get_max_threads; NULL
 * for a pool of our own. */
NEURODE_API void neurode_use_openmp(void* parallel, void* thread_number, void* team_size, void* most_threads);
NEURODE_API const char* neurode_variant_name(void);
/* Use another variant that this machine can run ("baseline", "avx2", "avx512"); 0 if it cannot. For tests. */
NEURODE_API int32_t neurode_use_variant(const char* name);
/* Solves. *solve is null at first, and what comes there is to be freed by neurode_free, whatever the answer. Unfinished:
 * call again, with the same structs in the same memory. What the reverse pass and neurode_steps need stays in the solve.
 */
NEURODE_API int32_t neurode_forward(const neurode_problem* problem, neurode_outcome* outcome, neurode_solve** solve);
/* May run more than once; with slots one way back at a time, which uses states up, so that the next takes longer.
 * problem: that of the forward pass, in the same or in equal memory. *way: null at first; unfinished: call again with
 * the same structs, or leave it by neurode_abandon. */
NEURODE_API int32_t neurode_backward(const neurode_problem* problem, neurode_solve* solve, neurode_pullback* bars,
                                     neurode_way_back** way);
NEURODE_API void neurode_abandon(neurode_way_back* way);
/* Bytes that a solve keeps. */
NEURODE_API int64_t neurode_kept_bytes(const neurode_solve* solve);
/* States at t0 and after each accepted step: values (rows, samples, dim), NaN below a sample's last. */
NEURODE_API void neurode_steps(const neurode_problem* problem, const neurode_solve* solve, int64_t rows, void* values);
/* Of a solve with save dense, what its steps began at, (rows, width), and their slopes, (stages, rows, width). rows:
 * the accepted steps of all lanes, lane after lane, the first step first; width: all numbers of a lane. */
NEURODE_API void neurode_dense(const neurode_problem* problem, const neurode_solve* solve, int64_t rows, void* starts,
                               void* stages);
/* Accepted steps of a lane, the first one first: t, t_end (accepted), and rows of `times` they are (-1: none). */
NEURODE_API void neurode_accepted(const neurode_solve* solve, int64_t lane, int64_t accepted, double* t, double* t_end,
                                  int64_t* anchor, int64_t* anchor_end);
NEURODE_API void neurode_free(neurode_solve* solve);
/* An activation over n numbers: value and slope. For tests. */
NEURODE_API void neurode_activate(int32_t activation, int32_t dtype, int64_t n, const void* z, void* value,
                                  void* slope);

#ifdef __cplusplus
}
#endif

#endif
