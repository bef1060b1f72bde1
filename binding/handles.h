#pragma once

#include <napi.h>

#include <memory>

#include "control.h"
#include "decoder.h"
#include "job_queue.h"
#include "model.h"
#include "traced_module.h"

namespace attention_bypass::binding {

// The JavaScript classes of the addon; lib/native.ts says what each method takes and gives.

class ControlHandle : public Napi::ObjectWrap<ControlHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit ControlHandle(const Napi::CallbackInfo& info);

 private:
  friend struct Controlled;
  void abort(const Napi::CallbackInfo& info);

  std::shared_ptr<Control> control_ = std::make_shared<Control>();
};

// The control that a method was given, if any, and the receiver of its progress.
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
  friend class DecoderHandle;
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value logits(const Napi::CallbackInfo& info);
  Napi::Value score(const Napi::CallbackInfo& info);
  Napi::Value groups_that_fit(const Napi::CallbackInfo& info);
  Napi::Value attention(const Napi::CallbackInfo& info);
  Napi::Value diverge(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<JobQueue> queue_;
  // Set and read on the queue's thread alone.
  std::shared_ptr<std::shared_ptr<const Model>> model_ = std::make_shared<std::shared_ptr<const Model>>();
  // The same on Node's thread alone, for what needs no turn in the queue.
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

class DecoderHandle : public Napi::ObjectWrap<DecoderHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit DecoderHandle(const Napi::CallbackInfo& info);

 private:
  Napi::Value next(const Napi::CallbackInfo& info);
  Napi::Value keep_rows(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  std::shared_ptr<JobQueue> queue_;
  std::function<std::unique_ptr<Decoder>()> make_;
  std::shared_ptr<std::unique_ptr<Decoder>> decoder_ = std::make_shared<std::unique_ptr<Decoder>>();
};

}  // namespace attention_bypass::binding
