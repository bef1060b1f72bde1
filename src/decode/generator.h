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

// Runs several generations on one model. Each row has its own prompt, plan and sampling. The rows of a step
// are decoded as one batch.
class Generator {
 public:
  struct Request {
    std::vector<TokenRow> prompts;  // none of them empty
    BypassPlan plan;
    int64_t max_new_tokens = 0;
    Sampling sampling;
    std::vector<uint64_t> seeds;  // a seed for each row, so that its samples do not depend on other rows
  };
  // The next token of a row.
  struct Token {
    int64_t token = 0;
    float log_probability = 0;     // at temperature 1, over all tokens
    std::optional<Error> failure;  // NOT_FINITE; the row must then only be removed
  };

  // first: the id of the first row. Later generators continue from next().
  Generator(std::shared_ptr<const Model> model, int64_t first);

  // Adds rows. Returns their ids. The first step of a row computes its prompt.
  std::vector<int64_t> add(Request request);
  // Decodes one token of each of these rows. Throws ABORTED.
  std::vector<Token> step(const std::vector<int64_t>& ids, Control& control);
  // Removes rows. Unknown ids are ignored.
  void remove(const std::vector<int64_t>& ids);
  bool empty() const { return rows_.empty(); }
  // Returns the id of the next row.
  int64_t next() const { return next_; }

 private:
  struct Row {
    std::shared_ptr<const Request> request;
    size_t number;         // the index among the request's prompts
    TokenRow tokens;       // the prompt and the generated tokens
    int64_t decoded = -1;  // the id in the decoder; -1: the prompt has not been computed
    std::mt19937_64 random;
  };

  // Returns the residual streams that predict the next token of each row.
  at::Tensor predict(const std::vector<Row*>& rows, Control& control);
  // Returns groups of indices of rows whose prompts are computed as one batch.
  static std::vector<std::vector<size_t>> read_together(const std::vector<Row*>& rows,
                                                        std::vector<size_t> unread);
  // Computes prompts and adds the rows to the decoder. Returns the streams of their last tokens.
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
