#include "job_queue.h"

#include <chrono>
#include <set>

namespace attention_bypass::binding {

namespace {

thread_local std::set<JobQueue*> live_queues;

}  // namespace

struct JobQueue::Job final : JobQueue::Delivery {
  Job(Napi::Env env, Work the_work, std::shared_ptr<Control> the_control, std::shared_ptr<JobQueue> the_queue)
      : deferred(Napi::Promise::Deferred::New(env)),
        work(std::move(the_work)),
        control(std::move(the_control)),
        queue(std::move(the_queue)) {}

  void deliver(Napi::Env env) override {
    if (--queue->pending_ == 0) queue->messenger_.Unref(env);
    if (!failure) {
      try {
        deferred.Resolve(settle(env));
        return;
      } catch (const Napi::Error& error) {
        deferred.Reject(error.Value());
        return;
      } catch (...) {
        failure = Failure::of(std::current_exception());
      }
    }
    deferred.Reject(failure->error(env).Value());
  }

  Napi::Promise::Deferred deferred;
  Work work;
  Settle settle;
  std::optional<Failure> failure;
  std::shared_ptr<Control> control;
  std::shared_ptr<Napi::FunctionReference> on_progress;
  std::shared_ptr<JobQueue> queue;  // lives until the promise is settled
};

struct JobQueue::Progress final : JobQueue::Delivery {
  Progress(std::shared_ptr<Napi::FunctionReference> the_receiver, double the_share)
      : receiver(std::move(the_receiver)), share(the_share) {}

  void deliver(Napi::Env env) override { receiver->Value().Call({Napi::Number::New(env, share)}); }

  std::shared_ptr<Napi::FunctionReference> receiver;
  double share;
};

std::shared_ptr<JobQueue> JobQueue::create(Napi::Env env) {
  return std::shared_ptr<JobQueue>(new JobQueue(env));
}

JobQueue::JobQueue(Napi::Env env)
    : env_(env), messenger_(Messenger::New(env, "attention-bypass", 0, 1)), thread_([this] { run(); }) {
  messenger_.Unref(env);
  // Hooks run in the reverse order of their making: the thread has ended before its messenger goes.
  napi_add_env_cleanup_hook(env_, end_at_exit, this);
  live_queues.insert(this);
}

JobQueue::~JobQueue() { end(); }

void JobQueue::end_all() noexcept {
  const auto queues = live_queues;
  for (auto* queue : queues) end_at_exit(queue);
}

void JobQueue::end_at_exit(void* queue) {
  // A waiting job owns the queue too.
  const auto self = static_cast<JobQueue*>(queue)->shared_from_this();
  self->end();
}

void JobQueue::end() noexcept {
  if (ended()) return;
  napi_remove_env_cleanup_hook(env_, end_at_exit, this);
  live_queues.erase(this);
  std::deque<std::unique_ptr<Job>> left;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    left.swap(jobs_);
    if (running_ != nullptr) running_->control->abort();
  }
  wake_.notify_all();
  thread_.join();
  // Not later: at the environment's end the messenger goes by itself soon after this.
  messenger_.Release();
}

Napi::Promise JobQueue::submit(Napi::Env env, Work work, std::shared_ptr<Control> control,
                               Napi::Value on_progress) {
  auto job = std::make_unique<Job>(env, std::move(work), std::move(control), shared_from_this());
  if (on_progress.IsFunction()) {
    job->on_progress =
        std::make_shared<Napi::FunctionReference>(Napi::Persistent(on_progress.As<Napi::Function>()));
    job->control->on_progress = [this, receiver = std::weak_ptr(job->on_progress),
                                 last = std::chrono::steady_clock::time_point()](double share) mutable {
      const auto now = std::chrono::steady_clock::now();
      if (share < 1 && now - last < std::chrono::milliseconds(50)) return;
      last = now;
      auto progress = std::make_unique<Progress>(receiver.lock(), share);
      if (messenger_.NonBlockingCall(progress.get()) == napi_ok) (void)progress.release();
    };
  }
  const auto promise = job->deferred.Promise();
  if (ended()) {
    job->deferred.Reject(
        Failure{"DISPOSED", "expected a model in use but it has been disposed of", ""}.error(env).Value());
    return promise;
  }
  if (pending_++ == 0) messenger_.Ref(env);
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
  return promise;
}

void JobQueue::run() noexcept {
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
      if (closed_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      running_ = job.get();
    }
    execute(*job);
    const std::lock_guard lock(mutex_);
    running_ = nullptr;
    // Refused only where the environment is going: then nobody waits, and Node's objects in the job are gone.
    if (messenger_.NonBlockingCall(job.get()) == napi_ok) {
      (void)job.release();
    } else {
      jobs_.push_back(std::move(job));
    }
  }
}

void JobQueue::execute(Job& job) noexcept {
  try {
    job.control->check();
    job.settle = job.work();
  } catch (...) {
    job.failure = Failure::of(std::current_exception());
  }
  // What the work holds is freed here, not on Node's thread.
  job.work = nullptr;
}

void JobQueue::call_js(Napi::Env env, Napi::Function, std::nullptr_t*, Delivery* delivery) {
  const std::unique_ptr<Delivery> owned(delivery);
  if (static_cast<napi_env>(env) != nullptr) owned->deliver(env);
}

}  // namespace attention_bypass::binding
