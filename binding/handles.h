#pragma once

#include <napi.h>

#include <memory>

#include "base/control.h"
#include "decode/generator.h"
#include "job_queue.h"
#include "model/model.h"
#include "score/scoring.h"
#include "trace/traced_module.h"

namespace attention_bypass::binding {

// The JavaScript classes of the addon. lib/addon/native.ts documents their methods.

class ControlHandle : public Napi::ObjectWrap<ControlHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ControlHandle(const Napi::CallbackInfo& info);

 private:
  friend struct Controlled;
  void abort(const Napi::CallbackInfo& info);

  std::shared_ptr<Control> control_ = std::make_shared<Control>();
};

// The control argument of a method and its progress callback. A new control and undefined if there is none.
struct Controlled {
  explicit Controlled(const Napi::Value& handle);

  std::shared_ptr<Control> control;
  Napi::Value on_progress;
};

class ModelHandle : public Napi::ObjectWrap<ModelHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ModelHandle(const Napi::CallbackInfo& info);

 private:
  friend class GeneratorHandle;
  friend class ScorerHandle;
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value widen(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value weights(const Napi::CallbackInfo& info);
  Napi::Value saveWeights(const Napi::CallbackInfo& info);
  Napi::Value logits(const Napi::CallbackInfo& info);
  Napi::Value attention(const Napi::CallbackInfo& info);
  Napi::Value diverge(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<JobQueue> queue_;
  // Used only on the queue's thread.
  std::shared_ptr<std::shared_ptr<const Model>> model_ = std::make_shared<std::shared_ptr<const Model>>();
  // The model for Node's thread, for calls that do not wait in the queue.
  std::shared_ptr<std::shared_ptr<const Model>> loaded_ = std::make_shared<std::shared_ptr<const Model>>();
};

class TracedHandle : public Napi::ObjectWrap<TracedHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit TracedHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value logits(const Napi::CallbackInfo& info);

  std::unique_ptr<TracedModule> module_;
};

// Scores batches of rows under the same plans. The plans are converted once.
class ScorerHandle : public Napi::ObjectWrap<ScorerHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ScorerHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value take(const Napi::CallbackInfo& info);
  Napi::Value score(const Napi::CallbackInfo& info);
  Napi::Value effects(const Napi::CallbackInfo& info);

  ScoringRequest request_;
  std::shared_ptr<JobQueue> queue_;
  std::shared_ptr<std::shared_ptr<const Model>> model_;
  std::shared_ptr<std::shared_ptr<const Model>> loaded_;
};

// Decodes the generations of a model as one batch.
class GeneratorHandle : public Napi::ObjectWrap<GeneratorHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit GeneratorHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value add(const Napi::CallbackInfo& info);
  Napi::Value step(const Napi::CallbackInfo& info);
  Napi::Value remove(const Napi::CallbackInfo& info);

  // Used only on the queue's thread. `generator` is null while it has no rows, so that the model can be
  // freed.
  struct State {
    std::unique_ptr<Generator> generator;
    int64_t next_row = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
  std::shared_ptr<JobQueue> queue_;
  std::shared_ptr<std::shared_ptr<const Model>> model_;
};

}  // namespace attention_bypass::binding
