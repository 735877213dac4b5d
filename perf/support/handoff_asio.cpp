/*
 * Boost.Asio's thread_pool behind C functions. See handoff_asio.h.
 *
 * asio::post() gives no result and no completion. A caller waits for a std::promise, which is what
 * the standard library has for it.
 */
#include "support/handoff_asio.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <future>

extern "C" void *handoff_asio_open(unsigned workers)
{
    try {
        return new boost::asio::thread_pool(workers);
    } catch (...) {
        return nullptr;
    }
}

extern "C" void handoff_asio_close(void *pool)
{
    auto *const threads = static_cast<boost::asio::thread_pool *>(pool);

    threads->join();
    delete threads;
}

extern "C" int handoff_asio_call(void *pool, void (*run)(void *argument), void *argument)
{
    try {
        std::promise<void> promise;
        std::future<void> future = promise.get_future();

        boost::asio::post(*static_cast<boost::asio::thread_pool *>(pool),
                          [run, argument, promise = std::move(promise)]() mutable {
                              run(argument);
                              promise.set_value();
                          });
        future.get();
        return 0;
    } catch (...) {
        return -1;
    }
}

extern "C" int handoff_asio_post(void *pool, void (*run)(void *argument), void *argument)
{
    try {
        boost::asio::post(*static_cast<boost::asio::thread_pool *>(pool),
                          [run, argument] { run(argument); });
        return 0;
    } catch (...) {
        return -1;
    }
}
