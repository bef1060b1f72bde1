#pragma once

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/control.h"
#include "errors.h"

namespace attention_bypass::binding {

// One thread that runs a model's work in the order in which it came, away from Node's event loop and from
// libuv's pool. Made and destroyed on Node's thread.
class JobQueue : public std::enable_shared_from_this<JobQueue> {
 public:
  // Runs on the queue's thread, where nothing of Node may be touched; returns what turns its result into a
  // value, on Node's thread.
  using Settle = std::function<Napi::Value(Napi::Env)>;
  using Work = std::function<Settle()>;

  static std::shared_ptr<JobQueue> create(Napi::Env env);
  ~JobQueue();

  // Ends the thread once the running job has; jobs that wait are dropped, and later ones refused.
  void end() noexcept;

  // Ends all queues of the calling thread's environment. process.exit() runs no cleanup hooks on the main
  // thread, and static objects must not go while queues still use them.
  static void end_all() noexcept;

  bool ended() const noexcept { return !thread_.joinable(); }

  // A promise of the work's value. The control's progress goes to on_progress where that is a function.
  Napi::Promise submit(Napi::Env env, Work work, std::shared_ptr<Control> control, Napi::Value on_progress);

 private:
  struct Delivery {
    virtual ~Delivery() = default;
    virtual void deliver(Napi::Env env) = 0;
  };
  struct Job;
  struct Progress;
  static void call_js(Napi::Env env, Napi::Function, std::nullptr_t*, Delivery* delivery);
  using Messenger = Napi::TypedThreadSafeFunction<std::nullptr_t, Delivery, call_js>;

  explicit JobQueue(Napi::Env env);
  void run() noexcept;
  void execute(Job& job) noexcept;
  static void end_at_exit(void* queue);

  napi_env env_;
  Messenger messenger_;
  size_t pending_ = 0;  // jobs not settled yet; Node's thread alone
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> jobs_;
  Job* running_ = nullptr;
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace attention_bypass::binding
