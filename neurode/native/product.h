// A matrix times a block of samples: rows of the matrix in tiles, whose sums stay in registers.
//
// A block is feature-major: feature i of the 16 samples lies at x + 16 i. So a step of the inner loop loads one feature
// and multiplies it by one entry of each row of the tile, broadcast; nothing is ever shuffled.
#ifndef NEURODE_PRODUCT_H
#define NEURODE_PRODUCT_H

#include "array.h"

namespace NEURODE_VARIANT {

template <class T>
constexpr int most_rows() {
    int rows = (NEURODE_REGISTERS - 4) / PARTS<T>;
    return rows < 1 ? 1 : rows > 16 ? 16 : rows;
}

// The matrix, tile after tile; within a tile a column's entries are neighbours.
template <class T>
class Packed {
public:
    // From any strided matrix.
    void pack(const T* from, int rows, int columns, int64_t row_stride, int64_t column_stride) {
        rows_ = rows;
        columns_ = columns;
        tiles_ = (rows + most_rows<T>() - 1) / most_rows<T>();
        entries_.resize(static_cast<int64_t>(rows) * columns);
        T* to = entries_.data();
        for (int tile = 0; tile < tiles_; ++tile) {
            const int begin = first(tile), end = first(tile + 1);
            for (int column = 0; column < columns; ++column)
                for (int row = begin; row < end; ++row) *to++ = from[row * row_stride + column * column_stride];
        }
    }
    int rows() const { return rows_; }
    int columns() const { return columns_; }
    int tiles() const { return tiles_; }
    // Tiles differ by one row at most.
    int first(int tile) const { return static_cast<int>(static_cast<int64_t>(tile) * rows_ / tiles_); }
    const T* tile(int number) const { return entries_.data() + static_cast<int64_t>(first(number)) * columns_; }

private:
    int rows_ = 0, columns_ = 0, tiles_ = 0;
    Array<T> entries_;
};

// What the sums begin with: one number a row (bias), a whole block (start), or nothing.
template <class T, int ROWS>
NEURODE_INLINE void multiply_tile(const T* w, const T* x, int columns, const T* bias, const T* start, T* out) {
    constexpr int parts = PARTS<T>;
    Vec<T> sum[ROWS][parts];
    if (start != nullptr) {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 16
            for (int p = 0; p < parts; ++p) sum[r][p] = load<T>(start + r * BLOCK + p * WIDTH<T>);
    } else {
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 16
            for (int p = 0; p < parts; ++p) sum[r][p] = broadcast<T>(bias == nullptr ? static_cast<T>(0) : bias[r]);
    }
    for (int k = 0; k < columns; ++k) {
        Vec<T> in[parts];
#pragma GCC unroll 16
        for (int p = 0; p < parts; ++p) in[p] = load<T>(x + p * WIDTH<T>);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            const T entry = w[r];
#pragma GCC unroll 16
            for (int p = 0; p < parts; ++p) sum[r][p] += in[p] * entry;
        }
        x += BLOCK;
        w += ROWS;
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 16
        for (int p = 0; p < parts; ++p) store<T>(out + r * BLOCK + p * WIDTH<T>, sum[r][p]);
}

// The tile of `rows` rows, found at compile time: the sums have to be named registers.
template <class T, int ROWS>
void multiply_rows(int rows, const T* w, const T* x, int columns, const T* bias, const T* start, T* out) {
    if (rows == ROWS) return multiply_tile<T, ROWS>(w, x, columns, bias, start, out);
    if constexpr (ROWS > 1) multiply_rows<T, ROWS - 1>(rows, w, x, columns, bias, start, out);
}

// out = matrix x + bias, or + start. out may be start, but not x.
template <class T>
void multiply(const Packed<T>& matrix, const T* x, const T* bias, const T* start, T* out) {
    for (int tile = 0; tile < matrix.tiles(); ++tile) {
        const int begin = matrix.first(tile), rows = matrix.first(tile + 1) - begin;
        multiply_rows<T, most_rows<T>()>(rows, matrix.tile(tile), x, matrix.columns(),
                                         bias == nullptr ? nullptr : bias + begin,
                                         start == nullptr ? nullptr : start + begin * BLOCK, out + begin * BLOCK);
    }
}

}  // namespace NEURODE_VARIANT

#endif
