// A pool of its own rather than OpenMP: torch brings an OpenMP runtime (one of three), and two in a process quarrel.
//
// Calls queue up whole and in order, and there are at least as many workers as the largest call has parts: so the parts
// of the oldest call always run all at once, and may wait for each other. A child of fork has no workers; it finds that
// the process is another one and makes a pool of its own. The pool is never taken down: its threads sleep until the
// end.
#include "threads.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace {

struct Call {
    void (*part)(void*, int);
    void* context;
    std::atomic<int> left;
};

struct Task {
    Call* call;
    int number;
};

class Pool {
public:
    explicit Pool(pid_t process) : process_(process) {}
    pid_t process() const { return process_; }

    void run(int parts, void (*part)(void*, int), void* context) {
        Call call{part, context, {parts - 1}};
        {
            std::lock_guard<std::mutex> lock(mutex_);
            while (workers_ < parts - 1) {
                std::thread(&Pool::work, this).detach();
                ++workers_;
            }
            for (int number = 1; number < parts; ++number) tasks_.push_back({&call, number});
        }
        wake_.notify_all();
        part(context, 0);
        // The others end at about the same time: look for a while before sleeping.
        for (int look = 0; look < 4000; ++look) {
            if (call.left.load(std::memory_order_acquire) == 0) break;
            if (look > 3900) std::this_thread::yield();
        }
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, [&call] { return call.left.load(std::memory_order_acquire) == 0; });
    }

private:
    void work() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return !tasks_.empty(); });
            const Task task = tasks_.front();
            tasks_.pop_front();
            lock.unlock();
            task.call->part(task.call->context, task.number);
            lock.lock();
            // Under the lock: the call is gone as soon as its owner sees zero and gets the lock.
            if (task.call->left.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.notify_all();
        }
    }

    const pid_t process_;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::deque<Task> tasks_;
    int workers_ = 0;
};

std::atomic<Pool*> shared_pool{nullptr};

Pool& pool() {
    const pid_t process = getpid();
    Pool* known = shared_pool.load(std::memory_order_acquire);
    while (known == nullptr || known->process() != process) {
        Pool* made = new Pool(process);
        if (shared_pool.compare_exchange_strong(known, made, std::memory_order_acq_rel)) return *made;
        delete made;
    }
    return *known;
}

}  // namespace

extern "C" void neurode_run_parts(int parts, void (*part)(void*, int), void* context) {
    if (parts <= 1) {
        part(context, 0);
        return;
    }
    pool().run(parts, part, context);
}
