// A handful of pieces wait, the oldest makes room. Whoever finds the store busy goes to the system: nobody ever waits, so
// that a child of fork cannot either.
#include "store.h"

#include <stdlib.h>

#include <atomic>

namespace {

struct Piece {
    void* memory;
    size_t bytes;
};

constexpr int PLACES = 16;
constexpr size_t MOST_BYTES = 16 << 20;
Piece pieces[PLACES];
std::atomic<bool> busy{false};

class Key {
public:
    Key() : held(!busy.exchange(true, std::memory_order_acquire)) {}
    ~Key() {
        if (held) busy.store(false, std::memory_order_release);
    }
    const bool held;
};

}  // namespace

void* neurode_take_memory(size_t bytes) {
    {
        const Key key;
        for (int i = 0; key.held && i < PLACES; ++i) {
            if (pieces[i].memory == nullptr || pieces[i].bytes != bytes) continue;
            void* memory = pieces[i].memory;
            pieces[i] = {nullptr, 0};
            return memory;
        }
    }
    return aligned_alloc(64, bytes);
}

void neurode_give_memory(void* memory, size_t bytes) {
    if (memory == nullptr) return;
    {
        const Key key;
        static int next = 0;
        if (key.held) {
            size_t total = bytes;
            for (const Piece& piece : pieces) total += piece.bytes;
            if (total <= MOST_BYTES) {
                Piece& place = pieces[next];
                next = (next + 1) % PLACES;
                void* old = place.memory;
                place = {memory, bytes};
                memory = old;
            } else {
                // Room for the sizes that are asked for now.
                Piece& place = pieces[next];
                next = (next + 1) % PLACES;
                free(place.memory);
                place = {nullptr, 0};
            }
        }
    }
    free(memory);
}
