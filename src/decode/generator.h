#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "base/error.h"
#include "decode/decoder.h"
#include "decode/sampling.h"
#include "model/model.h"

namespace attention_bypass {

// The generations that run on a model at the same time. Each row has its own prompt, plan and sampling; rows
// that are named together in a step are decoded as one batch.
class Generator {
 public:
  struct Request {
    std::vector<TokenRow> prompts;  // not empty
    BypassPlan plan;
    int64_t max_new_tokens = 0;
    Sampling sampling;
    std::vector<uint64_t> seeds;  // one for each row, so that its draws do not depend on other rows
  };
  // The next token of a row.
  struct Token {
    int64_t token = 0;
    float log_probability = 0;     // under the model itself, at temperature 1
    std::optional<Error> failure;  // NOT_FINITE; the row is then of no more use
  };

  // first: the number of the first row, for generators that follow each other.
  Generator(std::shared_ptr<const Model> model, int64_t first);

  // Returns the numbers of the rows. Their prompts are read by their first step.
  std::vector<int64_t> add(Request request);
  // Decodes a token of each of these rows. Throws ABORTED.
  std::vector<Token> step(const std::vector<int64_t>& ids, Control& control);
  // Numbers of rows that are gone already are ignored.
  void remove(const std::vector<int64_t>& ids);
  bool empty() const { return rows_.empty(); }
  // The number of the next row.
  int64_t next() const { return next_; }

 private:
  struct Row {
    std::shared_ptr<const Request> request;
    size_t number;         // among the request's prompts
    TokenRow tokens;       // the prompt and what has been generated
    int64_t decoded = -1;  // the number in the decoder; -1: the prompt has not been read
    std::mt19937_64 random;
  };

  // The residual streams that predict the next token of each row.
  at::Tensor predict(const std::vector<Row*>& rows, Control& control);
  // Groups of rows, by their places, whose prompts are read as one batch.
  static std::vector<std::vector<size_t>> read_together(const std::vector<Row*>& rows,
                                                        std::vector<size_t> unread);
  // Reads prompts and adds the rows to the decoder. Returns the streams of their last tokens.
  at::Tensor read(const std::vector<Row*>& rows, Control& control);
  at::Tensor read_one_plan(const std::vector<Row*>& rows, const Plans& plans, KeyValueCache& cache,
                           Control& control) const;
  std::vector<Token> choose(const std::vector<Row*>& rows, const at::Tensor& streams, Control& control);

  std::shared_ptr<const Model> model_;
  Decoder decoder_;
  std::map<int64_t, Row> rows_;
  int64_t next_;
};

}  // namespace attention_bypass
