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

// A thread that runs the jobs of a model in order of submission, so that they block neither Node's event loop
// nor libuv's thread pool. Created and destroyed on Node's thread.
class JobQueue : public std::enable_shared_from_this<JobQueue> {
 public:
  // Makes the JavaScript value of a result, on Node's thread.
  using MakeValue = std::function<Napi::Value(Napi::Env)>;
  // Runs on the queue's thread, where Node-API must not be called.
  using Work = std::function<MakeValue()>;

  static std::shared_ptr<JobQueue> create(Napi::Env env);
  ~JobQueue();

  // Aborts the running job, drops the waiting ones and joins the thread. Later jobs are rejected with
  // DISPOSED.
  void end() noexcept;

  // Ends all queues of the calling thread's environment. For process.exit(), which does not run cleanup hooks
  // on the main thread: static objects must not be destroyed while queues use them.
  static void end_all() noexcept;

  bool ended() const noexcept { return !thread_.joinable(); }

  // Adds a job. Returns a promise of the work's value. on_progress: called with the control's progress if it
  // is a function.
  Napi::Promise submit(Napi::Env env, Work work, std::shared_ptr<Control> control, Napi::Value on_progress);

 private:
  // A message from the queue's thread to Node's thread.
  struct Message {
    virtual ~Message() = default;
    virtual void handle(Napi::Env env) = 0;
  };
  struct Job;
  struct Progress;
  static void call_js(Napi::Env env, Napi::Function, std::nullptr_t*, Message* message);
  using NodeThread = Napi::TypedThreadSafeFunction<std::nullptr_t, Message, call_js>;

  explicit JobQueue(Napi::Env env);
  void run() noexcept;
  void execute(Job& job) noexcept;
  static void end_at_exit(void* queue);

  napi_env env_;
  NodeThread node_thread_;
  size_t pending_ = 0;  // the number of unsettled jobs; used only on Node's thread
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> jobs_;
  Job* running_ = nullptr;
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace attention_bypass::binding
