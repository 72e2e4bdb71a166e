// Memory: arrays aligned to cache lines, and one that grows. Not the standard containers: their functions would be
// compiled once per variant under one name, and the linker could keep that of a machine this one is not.
#ifndef NEURODE_ARRAY_H
#define NEURODE_ARRAY_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vec.h"

namespace NEURODE_VARIANT {

// Thrown as the one exception there is; the C interface turns it into null.
struct OutOfMemory {};

template <class T>
class Array {
public:
    Array() = default;
    explicit Array(int64_t count) { resize(count); }
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;
    ~Array() { free(data_); }

    // Contents are zero afterwards.
    void resize(int64_t count) {
        free(data_);
        data_ = nullptr;
        const size_t bytes = (static_cast<size_t>(count > 0 ? count : 1) * sizeof(T) + 63) / 64 * 64;
        data_ = static_cast<T*>(aligned_alloc(64, bytes));
        if (data_ == nullptr) throw OutOfMemory();
        memset(static_cast<void*>(data_), 0, bytes);
        count_ = count;
    }
    T* data() { return data_; }
    const T* data() const { return data_; }
    T& operator[](int64_t i) { return data_[i]; }
    const T& operator[](int64_t i) const { return data_[i]; }
    int64_t size() const { return count_; }

private:
    T* data_ = nullptr;
    int64_t count_ = 0;
};

// Rows of equal length that stay where they are while more are added.
template <class T>
class Rows {
public:
    Rows() = default;
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;
    ~Rows() {
        for (int64_t i = 0; i < chunks_; ++i) free(chunk_[i]);
        free(chunk_);
    }
    // per_chunk: a power of two.
    void shape(int64_t width, int64_t per_chunk) {
        width_ = width;
        shift_ = 0;
        while ((static_cast<int64_t>(1) << shift_) < per_chunk) ++shift_;
    }
    T* add() {
        const int64_t chunk = count_ >> shift_;
        if (chunk == chunks_) {
            T** longer = static_cast<T**>(realloc(chunk_, static_cast<size_t>(chunk + 1) * sizeof(T*)));
            if (longer == nullptr) throw OutOfMemory();
            chunk_ = longer;
            chunk_[chunk] = static_cast<T*>(malloc((static_cast<size_t>(width_) << shift_) * sizeof(T) + 64));
            if (chunk_[chunk] == nullptr) throw OutOfMemory();
            ++chunks_;
        }
        return at(count_++);
    }
    T* at(int64_t row) { return chunk_[row >> shift_] + (row & ((static_cast<int64_t>(1) << shift_) - 1)) * width_; }
    const T* at(int64_t row) const { return const_cast<Rows*>(this)->at(row); }
    int64_t count() const { return count_; }
    int64_t bytes() const { return (chunks_ * width_ << shift_) * static_cast<int64_t>(sizeof(T)); }

private:
    T** chunk_ = nullptr;
    int64_t chunks_ = 0, count_ = 0, width_ = 0;
    int shift_ = 0;
};

template <class T>
constexpr int64_t round_up(int64_t count) {
    return (count + WIDTH<T> - 1) / WIDTH<T> * WIDTH<T>;
}

}  // namespace NEURODE_VARIANT

#endif
