#include "forward/block_step.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/transfer.h"

namespace attention_bypass {

namespace {

// Returns the sum. An undefined `added` counts as zero.
at::Tensor sum(const at::Tensor& stream, const at::Tensor& added) {
  return added.defined() ? stream + added : stream;
}

// Returns head outputs (rows, queries, hidden size), those of some heads replaced by the token's own values,
// (rows, heads, queries, head size). heads: their indices.
at::Tensor with_own_values(const at::Tensor& mixed, const at::Tensor& values, const at::Tensor& heads) {
  auto result = at::clone(mixed, at::MemoryFormat::Contiguous);
  result.unflatten(2, {values.size(1), values.size(3)})
      .index_copy_(2, heads, values.index_select(1, heads).transpose(1, 2));
  return result;
}

// Returns head outputs (rows, queries, hidden size) with the outputs of the bypassed heads replaced. values:
// of the tokens of the queries, (rows, heads, queries, head size).
at::Tensor bypass_heads(const CompiledBypass& bypass, const at::Tensor& mixed, const at::Tensor& values) {
  if (bypass.attention == BypassMode::short_circuit) return with_own_values(mixed, values, bypass.heads);
  auto result = at::clone(mixed, at::MemoryFormat::Contiguous);
  auto by_head = result.unflatten(2, {values.size(1), values.size(3)});
  if (bypass.attention == BypassMode::zero) {
    by_head.index_fill_(2, bypass.heads, 0);
  } else {
    const auto mean = bypass.attention_mean.view({1, 1, values.size(1), values.size(3)});
    auto shape = by_head.sizes().vec();
    shape[2] = bypass.heads.size(0);
    by_head.index_copy_(2, bypass.heads, mean.index_select(2, bypass.heads).expand(shape));
  }
  return result;
}

at::Tensor indices(const std::vector<int64_t>& rows, at::Device device) { return to_device(rows, device); }

std::vector<RowBypasses::Group> groups(const std::map<const CompiledBypass*, std::vector<int64_t>>& rows,
                                       at::Device device) {
  std::vector<RowBypasses::Group> result;
  for (const auto& [bypass, members] : rows) result.push_back({bypass, indices(members, device)});
  return result;
}

}  // namespace

RowBypasses::RowBypasses(const std::vector<const CompiledBypass*>& bypasses, at::Device device, bool dense) {
  const auto same = [&](const CompiledBypass* bypass) { return bypass == bypasses.front(); };
  if (std::all_of(bypasses.begin(), bypasses.end(), same)) {
    common = bypasses.front();
    attending_count = common->attends() ? std::ssize(bypasses) : 0;
    return;
  }
  const bool all_attend =
      dense && std::any_of(bypasses.begin(), bypasses.end(), std::mem_fn(&CompiledBypass::attends));
  const auto with_mlp = std::count_if(bypasses.begin(), bypasses.end(), [](const CompiledBypass* bypass) {
    return bypass->mlp == BypassMode::none;
  });
  const bool all_run_mlp = dense && 2 * with_mlp >= std::ssize(bypasses);
  std::vector<int64_t> attends, runs_mlp, no_attention, no_mlp;
  std::map<const CompiledBypass*, std::vector<int64_t>> by_heads, by_replacement, by_mlp_mean;
  for (int64_t row = 0; row < std::ssize(bypasses); ++row) {
    const auto* bypass = bypasses[static_cast<size_t>(row)];
    if (bypass->attends()) {
      if (bypass->heads.defined()) by_heads[bypass].push_back(all_attend ? row : std::ssize(attends));
      attends.push_back(row);
    } else if (bypass->attention == BypassMode::zero) {
      no_attention.push_back(row);
    } else {
      by_replacement[bypass].push_back(row);
    }
    if (bypass->mlp == BypassMode::none) runs_mlp.push_back(row);
    if (bypass->mlp == BypassMode::zero) no_mlp.push_back(row);
    if (bypass->mlp == BypassMode::mean) by_mlp_mean[bypass].push_back(row);
  }
  const auto some = [&](const std::vector<int64_t>& rows, bool all) {
    return all || rows.size() == bypasses.size() ? at::Tensor() : indices(rows, device);
  };
  attending_count = std::ssize(attends);
  attending = some(attends, all_attend);
  if (all_attend && !no_attention.empty()) without_attention = indices(no_attention, device);
  heads = groups(by_heads, device);
  replaced = groups(by_replacement, device);
  mlp_count = std::ssize(runs_mlp);
  mlp = some(runs_mlp, all_run_mlp);
  if (all_run_mlp && !no_mlp.empty()) without_mlp = indices(no_mlp, device);
  mlp_means = groups(by_mlp_mean, device);
}

BlockStep::BlockStep(const Block& block, at::Tensor stream, Positions positions, KeyValueReader& reader,
                     Narrowing narrowing)
    : block_(block),
      stream_(std::move(stream)),
      positions_(std::move(positions)),
      reader_(reader),
      narrowing_(std::move(narrowing)) {}

at::Tensor BlockStep::after(const RowBypasses& bypasses, bool narrow, Parts* parts) {
  const auto stream = entering(narrow);
  const auto attention = attention_output(bypasses, narrow);
  const auto between = block_.parallel() ? stream : sum(stream, attention);
  at::Tensor result;
  at::Tensor mlp_part;
  if (block_.parallel() && bypasses.common != nullptr && bypasses.common->mlp == BypassMode::none) {
    // In a parallel block, the MLP reads the same stream under every bypass.
    if (!with_mlp_.defined()) {
      const auto widest = entering(narrowing_.all);
      shared_mlp_ = mlp(widest);
      with_mlp_ = widest + shared_mlp_;
    }
    const auto shared = [&](const at::Tensor& tensor) {
      return narrow && !narrowing_.all ? narrowing_.read(tensor) : tensor;
    };
    result = sum(shared(with_mlp_), attention);
    if (parts != nullptr) mlp_part = shared(shared_mlp_);
  } else {
    mlp_part = mlp_output(bypasses, between);
    result = sum(between, mlp_part);
    if (block_.parallel()) result = sum(result, attention);
  }
  if (parts != nullptr) *parts = {attention, between, mlp_part};
  return result;
}

const at::Tensor& BlockStep::head_outputs() {
  attend({});
  return mixed_;
}

const Projections& BlockStep::projections() {
  attend({});
  return projections_;
}

at::Tensor BlockStep::entering(bool narrow) {
  return narrow && !narrowing_.stream ? narrowing_.read(stream_) : stream_;
}

void BlockStep::attend(const at::Tensor& rows) {
  if (mixed_.defined()) return;
  if (!rows.defined() && block_.joint_norms().defined()) {
    std::tie(normed_, normed_for_mlp_) = block_.joint_norms()(stream_);
  } else {
    normed_ = block_.attention_norm(rows.defined() ? stream_.index_select(0, rows) : stream_);
  }
  const auto rotation = rows.defined() ? positions_.of_rows(rows).rotation : positions_.rotation;
  projections_ = block_.attention().project(normed_, rotation);
  auto own = projections_;
  if (narrowing_.queries) own.queries = narrowing_.read(own.queries);
  mixed_ = reader_.mix(block_, std::move(own));
  const auto& heads = block_.short_circuited();
  if (!heads.defined()) return;
  const auto& values = projections_.values;
  mixed_ = with_own_values(mixed_, narrowing_.queries ? narrowing_.read(values) : values, heads);
}

at::Tensor BlockStep::attention_output(const CompiledBypass& bypass, bool narrow) {
  if (bypass.attends()) {
    attend({});
    const auto mixed = narrow && !narrowing_.queries && !narrowing_.stream ? narrowing_.read(mixed_) : mixed_;
    if (!bypass.heads.defined()) return block_.attention().output(mixed);
    const auto& values = projections_.values;
    return block_.attention().output(
        bypass_heads(bypass, mixed, narrow && !narrowing_.stream ? narrowing_.read(values) : values));
  }
  if (bypass.attention == BypassMode::mean) return block_.attention().output(bypass.attention_mean);
  if (bypass.attention == BypassMode::zero) return {};
  if (!narrowing_.attends) return block_.attention().short_circuit(block_.attention_norm(entering(narrow)));
  attend({});
  return block_.attention().short_circuit(narrow && !narrowing_.stream ? narrowing_.read(normed_) : normed_);
}

at::Tensor BlockStep::attention_output(const RowBypasses& bypasses, bool narrow) {
  if (bypasses.common != nullptr) return attention_output(*bypasses.common, narrow);
  at::Tensor output;
  if (bypasses.attending_count > 0) {
    attend(bypasses.attending);
    auto mixed = mixed_;
    for (const auto& [bypass, rows] : bypasses.heads) {
      mixed.index_copy_(
          0, rows,
          bypass_heads(*bypass, mixed.index_select(0, rows), projections_.values.index_select(0, rows)));
    }
    output = block_.attention().output(mixed);
    if (bypasses.without_attention.defined()) output.index_fill_(0, bypasses.without_attention, 0);
    if (bypasses.attending.defined()) {
      output = at::zeros(stream_.sizes(), output.options()).index_copy_(0, bypasses.attending, output);
    }
  }
  for (const auto& [bypass, rows] : bypasses.replaced) {
    const auto instead =
        bypass->attention == BypassMode::mean
            ? block_.attention().output(bypass->attention_mean)
            : block_.attention().short_circuit(block_.attention_norm(stream_.index_select(0, rows)));
    if (!output.defined()) output = at::zeros(stream_.sizes(), instead.options());
    output.index_copy_(0, rows, instead.expand({rows.size(0), stream_.size(1), stream_.size(2)}));
  }
  return output;
}

at::Tensor BlockStep::mlp(const at::Tensor& stream) {
  return stream.is_same(stream_) && normed_for_mlp_.defined() ? block_.parts().mlp(normed_for_mlp_)
                                                              : block_.mlp(stream);
}

at::Tensor BlockStep::mlp_output(const RowBypasses& bypasses, const at::Tensor& stream) {
  if (bypasses.common != nullptr) {
    if (bypasses.common->mlp == BypassMode::none) return mlp(stream);
    return bypasses.common->mlp_mean;
  }
  at::Tensor output;
  if (bypasses.mlp_count > 0 && !bypasses.mlp.defined()) {
    output = mlp(stream);
    if (bypasses.without_mlp.defined()) output.index_fill_(0, bypasses.without_mlp, 0);
  } else if (bypasses.mlp_count > 0) {
    const auto some = mlp(stream.index_select(0, bypasses.mlp));
    output = at::zeros(stream.sizes(), some.options()).index_copy_(0, bypasses.mlp, some);
  }
  for (const auto& [bypass, rows] : bypasses.mlp_means) {
    if (!output.defined()) output = at::zeros(stream.sizes(), bypass->mlp_mean.options());
    output.index_copy_(0, rows, bypass->mlp_mean.expand({rows.size(0), stream.size(1), stream.size(2)}));
  }
  return output;
}

}  // namespace attention_bypass
