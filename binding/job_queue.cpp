#include "job_queue.h"

#include <chrono>
#include <set>

namespace attention_bypass::binding {

namespace {

thread_local std::set<JobQueue*> open_queues;

}  // namespace

struct JobQueue::Job final : JobQueue::Message {
  Job(Napi::Env env, Work the_work, std::shared_ptr<Control> the_control, std::shared_ptr<JobQueue> the_queue)
      : deferred(Napi::Promise::Deferred::New(env)),
        work(std::move(the_work)),
        control(std::move(the_control)),
        queue(std::move(the_queue)) {}

  void handle(Napi::Env env) override {
    if (--queue->pending_ == 0) queue->node_thread_.Unref(env);
    if (!failure) {
      try {
        deferred.Resolve(make_value(env));
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
  MakeValue make_value;
  std::optional<Failure> failure;
  std::shared_ptr<Control> control;
  std::shared_ptr<Napi::FunctionReference> on_progress;
  std::shared_ptr<JobQueue> queue;  // kept until the promise is settled
};

struct JobQueue::Progress final : JobQueue::Message {
  Progress(std::shared_ptr<Napi::FunctionReference> the_receiver, double the_share)
      : receiver(std::move(the_receiver)), share(the_share) {}

  void handle(Napi::Env env) override { receiver->Value().Call({Napi::Number::New(env, share)}); }

  std::shared_ptr<Napi::FunctionReference> receiver;
  double share;
};

std::shared_ptr<JobQueue> JobQueue::create(Napi::Env env) {
  return std::shared_ptr<JobQueue>(new JobQueue(env));
}

JobQueue::JobQueue(Napi::Env env)
    : env_(env), node_thread_(NodeThread::New(env, "attention-bypass", 0, 1)), thread_([this] { run(); }) {
  node_thread_.Unref(env);
  // Hooks run in reverse order, so the thread ends before node_thread_ is closed.
  napi_add_env_cleanup_hook(env_, end_at_exit, this);
  open_queues.insert(this);
}

JobQueue::~JobQueue() { end(); }

void JobQueue::end_all() noexcept {
  const auto queues = open_queues;
  for (auto* queue : queues) end_at_exit(queue);
}

void JobQueue::end_at_exit(void* queue) {
  // Keeps the queue alive: dropping a waiting job releases its reference.
  const auto self = static_cast<JobQueue*>(queue)->shared_from_this();
  self->end();
}

void JobQueue::end() noexcept {
  if (ended()) return;
  napi_remove_env_cleanup_hook(env_, end_at_exit, this);
  open_queues.erase(this);
  std::deque<std::unique_ptr<Job>> left;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    left.swap(jobs_);
    if (running_ != nullptr) running_->control->abort();
  }
  wake_.notify_all();
  thread_.join();
  // Released here: when the environment ends, Node closes it soon after this hook.
  node_thread_.Release();
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
      if (node_thread_.NonBlockingCall(progress.get()) == napi_ok) (void)progress.release();
    };
  }
  const auto promise = job->deferred.Promise();
  if (ended()) {
    job->deferred.Reject(
        Failure{"DISPOSED", "expected a model in use but it has been disposed of", ""}.error(env).Value());
    return promise;
  }
  if (pending_++ == 0) node_thread_.Ref(env);
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
    // Fails only while the environment ends. Nothing awaits the promise then, and the job's Node objects must
    // not be released on this thread.
    if (node_thread_.NonBlockingCall(job.get()) == napi_ok) {
      (void)job.release();
    } else {
      jobs_.push_back(std::move(job));
    }
  }
}

void JobQueue::execute(Job& job) noexcept {
  try {
    job.control->check();
    job.make_value = job.work();
  } catch (...) {
    job.failure = Failure::of(std::current_exception());
  }
  // Frees what the work holds on this thread and not on Node's.
  job.work = nullptr;
}

void JobQueue::call_js(Napi::Env env, Napi::Function, std::nullptr_t*, Message* message) {
  const std::unique_ptr<Message> owned(message);
  if (static_cast<napi_env>(env) != nullptr) owned->handle(env);
}

}  // namespace attention_bypass::binding
