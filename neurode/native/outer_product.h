// Weight gradients: sums of outer products over samples and stages, as a matrix product of its own.
#ifndef NEURODE_OUTER_PRODUCT_H
#define NEURODE_OUTER_PRODUCT_H

#include "product.h"

namespace NEURODE_VARIANT {

constexpr int MOST_PANELS = NEURODE_REGISTERS == 32 ? 4 : 2;

template <class T>
constexpr int rows_beside(int panels) {
    const int rows = (NEURODE_REGISTERS - panels - 2) / panels;
    return rows > 12 ? 12 : rows;
}

// sum (rows, stride) += a b over the samples of all stages, for a tile of ROWS rows and PANELS vectors.
// a: blocks, feature-major, of which the tile's rows are the first; b: rows a sample. Stages lie a_stage, b_stage
// apart.
template <class T, int PANELS, int ROWS>
NEURODE_INLINE void outer_tile(const T* a, const T* b, int stages, int64_t a_stage, int64_t stride, T* sum) {
    Vec<T> total[ROWS][PANELS];
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
        for (int p = 0; p < PANELS; ++p) total[r][p] = load<T>(sum + r * stride + p * WIDTH<T>);
    for (int stage = 0; stage < stages; ++stage) {
        for (int sample = 0; sample < BLOCK; ++sample) {
            Vec<T> in[PANELS];
#pragma GCC unroll 4
            for (int p = 0; p < PANELS; ++p) in[p] = load<T>(b + p * WIDTH<T>);
#pragma GCC unroll 16
            for (int r = 0; r < ROWS; ++r) {
                const T entry = a[r * BLOCK + sample];
#pragma GCC unroll 4
                for (int p = 0; p < PANELS; ++p) total[r][p] += in[p] * entry;
            }
            b += stride;
        }
        a += a_stage;
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
        for (int p = 0; p < PANELS; ++p) store<T>(sum + r * stride + p * WIDTH<T>, total[r][p]);
}

template <class T, int PANELS, int ROWS>
void outer_rows(int rows, const T* a, const T* b, int stages, int64_t a_stage, int64_t stride, T* sum) {
    if (rows == ROWS) return outer_tile<T, PANELS, ROWS>(a, b, stages, a_stage, stride, sum);
    if constexpr (ROWS > 1) outer_rows<T, PANELS, ROWS - 1>(rows, a, b, stages, a_stage, stride, sum);
}

template <class T, int PANELS>
void outer_panel(int rows, const T* a, const T* b, int stages, int64_t a_stage, int64_t stride, T* sum) {
    constexpr int most = rows_beside<T>(PANELS);
    const int tiles = (rows + most - 1) / most;
    for (int tile = 0; tile < tiles; ++tile) {
        const int64_t begin = static_cast<int64_t>(tile) * rows / tiles,
                      end = static_cast<int64_t>(tile + 1) * rows / tiles;
        outer_rows<T, PANELS, most>(static_cast<int>(end - begin), a + begin * BLOCK, b, stages, a_stage, stride,
                                    sum + begin * stride);
    }
}

// sum (rows, stride) += a b; a: (stages) blocks of `rows` features, a_stage apart; b: (stages * 16, stride).
template <class T>
void add_outer_products(int rows, const T* a, int64_t a_stage, const T* b, int64_t stride, int stages, T* sum) {
    int64_t column = 0, panels = stride / WIDTH<T>;
    while (panels > 0) {
        const int take = panels >= MOST_PANELS ? MOST_PANELS : static_cast<int>(panels);
        switch (take) {
            case 1:
                outer_panel<T, 1>(rows, a, b + column, stages, a_stage, stride, sum + column);
                break;
            case 2:
                outer_panel<T, 2>(rows, a, b + column, stages, a_stage, stride, sum + column);
                break;
            case 3:
                if constexpr (MOST_PANELS > 2)
                    outer_panel<T, 3>(rows, a, b + column, stages, a_stage, stride, sum + column);
                break;
            default:
                if constexpr (MOST_PANELS > 3)
                    outer_panel<T, 4>(rows, a, b + column, stages, a_stage, stride, sum + column);
                break;
        }
        column += take * WIDTH<T>;
        panels -= take;
    }
}

}  // namespace NEURODE_VARIANT

#endif
