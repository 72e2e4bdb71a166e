// The threads are those of the OpenMP runtime that torch brings, where Python could name it: after each of torch's parallel
// operations its threads watch for the next one on all cores, for milliseconds, and threads of another pool would wait
// behind them. Nothing is linked: the runtime is one of three, and is only known when torch is loaded. Where there is
// none, in a child of fork (which has lost the runtime's threads), and where a team comes out too small (within a
// parallel region, or under a limit), there is a pool of our own.
//
// Calls queue up whole and in order, and there are at least as many workers as the largest call has parts: so the parts
// of the oldest call always run all at once, and may wait for each other. A child of fork has no workers; it finds that
// the process is another one and makes a pool of its own. The pool is never taken down: its threads sleep until the
// end.
#include "threads.h"

#include "neurode.h"

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

struct OpenMP {
    pid_t process;
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
    int (*thread_number)();
    int (*team_size)();
    int (*most_threads)();
};

std::atomic<const OpenMP*> openmp{nullptr};

struct Team {
    const OpenMP* runtime;
    int parts;
    void (*part)(void*, int);
    void* context;
    std::atomic<bool> small;
};

void work_in_team(void* data) {
    Team& team = *static_cast<Team*>(data);
    if (team.runtime->team_size() < team.parts) {
        team.small.store(true, std::memory_order_relaxed);
        return;
    }
    const int number = team.runtime->thread_number();
    if (number < team.parts) team.part(team.context, number);
}

// False where the runtime gave too few threads, and nothing was done.
bool run_in_team(int parts, void (*part)(void*, int), void* context) {
    const OpenMP* runtime = openmp.load(std::memory_order_acquire);
    if (runtime == nullptr || runtime->process != getpid()) return false;
    // As many as torch asks for: a team of another size would end threads, and torch would have to make them again.
    const int most = runtime->most_threads();
    Team team{runtime, parts, part, context, {false}};
    runtime->parallel(work_in_team, &team, static_cast<unsigned>(most > parts ? most : parts), 0);
    return !team.small.load(std::memory_order_relaxed);
}

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
    if (!run_in_team(parts, part, context)) pool().run(parts, part, context);
}

void neurode_use_openmp(void* parallel, void* thread_number, void* team_size, void* most_threads) {
    if (parallel == nullptr) {
        openmp.store(nullptr, std::memory_order_release);
        return;
    }
    // Never freed: another thread may be using the one before.
    openmp.store(
        new OpenMP{
            getpid(),
            reinterpret_cast<void (*)(void (*)(void*), void*, unsigned, unsigned)>(parallel),
            reinterpret_cast<int (*)()>(thread_number),
            reinterpret_cast<int (*)()>(team_size),
            reinterpret_cast<int (*)()>(most_threads),
        },
        std::memory_order_release
    );
}
