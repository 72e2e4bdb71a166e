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

// A short list of numbers, kept dense.
class List {
public:
    List() = default;
    List(const List&) = delete;
    List& operator=(const List&) = delete;
    ~List() { free(data_); }
    void push(int64_t value) {
        if (count_ == room_) grow();
        data_[count_++] = value;
    }
    void remove(int64_t place) {
        --count_;
        memmove(static_cast<void*>(data_ + place), data_ + place + 1,
                static_cast<size_t>(count_ - place) * sizeof(int64_t));
    }
    int64_t pop() { return data_[--count_]; }
    void clear() { count_ = 0; }
    void copy(const List& from) {
        clear();
        for (int64_t i = 0; i < from.count(); ++i) push(from[i]);
    }
    int64_t operator[](int64_t place) const { return data_[place]; }
    int64_t last() const { return data_[count_ - 1]; }
    int64_t count() const { return count_; }

private:
    void grow() {
        const int64_t room = room_ == 0 ? 16 : 2 * room_;
        void* moved = realloc(data_, static_cast<size_t>(room) * sizeof(int64_t));
        if (moved == nullptr) throw OutOfMemory();
        data_ = static_cast<int64_t*>(moved);
        room_ = room;
    }
    int64_t* data_ = nullptr;
    int64_t count_ = 0, room_ = 0;
};

// Rows of equal length that stay where they are while more are added: in chunks, each twice as long as the one before.
template <class T>
class Rows {
public:
    Rows() = default;
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;
    ~Rows() {
        for (int i = 0; i < chunks_; ++i) free(chunk_[i]);
    }
    // The first chunk has about `bytes`, and a power of two of rows.
    void shape(int64_t width, int64_t bytes) {
        width_ = width;
        shift_ = 0;
        while ((width * static_cast<int64_t>(sizeof(T)) << (shift_ + 1)) <= bytes && shift_ < 12) ++shift_;
    }
    T* add() {
        if (count_ == before(chunks_)) {
            const size_t rows = static_cast<size_t>(before(chunks_ + 1) - count_);
            chunk_[chunks_] = static_cast<T*>(malloc(rows * static_cast<size_t>(width_) * sizeof(T) + 64));
            if (chunk_[chunks_] == nullptr) throw OutOfMemory();
            ++chunks_;
        }
        return at(count_++);
    }
    T* at(int64_t row) {
        const int chunk = 63 - __builtin_clzll(static_cast<unsigned long long>((row >> shift_) + 1));
        return chunk_[chunk] + (row - before(chunk)) * width_;
    }
    const T* at(int64_t row) const { return const_cast<Rows*>(this)->at(row); }
    int64_t count() const { return count_; }
    int64_t bytes() const { return count_ * width_ * static_cast<int64_t>(sizeof(T)); }

private:
    // Rows in the chunks before this one.
    int64_t before(int chunk) const { return ((static_cast<int64_t>(1) << chunk) - 1) << shift_; }
    T* chunk_[48];
    int chunks_ = 0;
    int64_t count_ = 0, width_ = 0;
    int shift_ = 0;
};

template <class T>
constexpr int64_t round_up(int64_t count) {
    return (count + WIDTH<T> - 1) / WIDTH<T> * WIDTH<T>;
}

}  // namespace NEURODE_VARIANT

#endif
