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
#include "decode/token_choice.h"
#include "forward/long_prompt.h"
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
    int64_t top = 0;              // the number of most probable tokens to return with each token
    std::vector<uint64_t> seeds;  // a seed for each row, so that its samples do not depend on other rows
  };
  // The next token of a row.
  struct Token {
    bool pending = true;  // the row's prompt is not complete yet: step again; the other fields are unset
    int64_t token = 0;
    float log_probability = 0;     // at temperature 1, over all tokens
    std::vector<RankedToken> top;  // the most probable tokens, the most probable first
    std::optional<Error> failure;  // NOT_FINITE; the row must then only be removed
  };

  // first: the id of the first row. Later generators continue from next().
  Generator(std::shared_ptr<const Model> model, int64_t first);

  // Adds rows. Returns their ids. The first steps of a row compute its prompt.
  std::vector<int64_t> add(Request request);
  // Decodes one token of each of these rows. The prompts of new rows are computed in the order of `ids`, only
  // so many tokens in one step that the other rows do not wait for long. Throws ABORTED.
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
    std::shared_ptr<const Plans> plans;
    std::unique_ptr<LongPrompt> prompt;  // while it is computed in pieces
  };
  // Residual streams that predict the next token, (rows, hidden size), and the rows' indices in the step.
  struct Predictions {
    std::vector<at::Tensor> streams;
    std::vector<size_t> places;

    void add(const at::Tensor& some, const std::vector<size_t>& members) {
      streams.push_back(some);
      places.insert(places.end(), members.begin(), members.end());
    }
  };

  // A step of the decoder that was launched before the tokens it reads had come to the host.
  struct Ahead {
    std::vector<int64_t> ids;  // in the decoder
    at::Tensor streams;
  };

  Predictions predict(const std::vector<Row*>& rows, Control& control);
  // Computes the next step of decoded rows, unless it was launched already.
  at::Tensor decode(const std::vector<Row*>& rows, Control& control);
  // Launches the next step of rows whose tokens have been chosen on a device, if none of them has its last
  // token.
  void step_ahead(const std::vector<Row*>& rows, Control& control);
  // Computes the next piece of a long prompt.
  void read_piece(const std::vector<Row*>& rows, size_t place, Predictions& predictions, Control& control);
  // Returns the first of these rows, as many as have at most this many tokens with padding; at least one.
  std::vector<size_t> first_prompts(const std::vector<Row*>& rows, const std::vector<size_t>& unread,
                                    int64_t most_tokens) const;
  // Returns groups of indices of rows whose prompts are computed as one batch.
  static std::vector<std::vector<size_t>> read_together(const std::vector<Row*>& rows,
                                                        std::vector<size_t> unread);
  void start_decoding(Row& row, std::shared_ptr<const KeyValueCache> cache, int64_t index);
  // Computes prompts and adds the rows to the decoder. Returns the streams of their last tokens.
  at::Tensor read(const std::vector<Row*>& rows, Control& control);
  at::Tensor read_one_plan(const std::vector<Row*>& rows, const Plans& plans, KeyValueCache& cache,
                           Control& control) const;
  std::vector<Token> choose(const std::vector<Row*>& rows, const at::Tensor& streams, Control& control);
  // Returns NOT_FINITE for a row whose next logits are not finite. Throws ABORTED.
  Error not_finite(const Row& row, Control& control) const;

  std::shared_ptr<const Model> model_;
  Decoder decoder_;
  TokenChoices choices_;
  std::optional<Ahead> ahead_;
  std::vector<int64_t> last_;  // the ids in the decoder of the rows for which step_ahead() was last called
  std::map<int64_t, Row> rows_;
  int64_t next_;
};

}  // namespace attention_bypass
