"""A scan of token ids, window by window, on Hugging Face transformers with hooks, and a softmax in float64.

python scan.py MODEL REQUEST.json

The request: {"tokens", "prefix", "suffix", "stride", "bypasses": [{"blocks", "mode"}], "temperature", "top_k", "threshold"}; a top_k
of 0 is none. Prints for the model and for each bypass: {"log_likelihoods" under the sampling scheme, without tokens outside of the top k;
"never_sampled", their number; "probabilities"; "exact_matches"; "longest_runs", one value for each window; "spans" of tokens of the merged
suffixes of windows at or above the threshold; "token_log_probabilities", for each of these spans, the best of its windows for each token
(null if it is never sampled)}.
"""

import json
import math
import sys
from contextlib import ExitStack, contextmanager

import torch
from transformers import AutoModelForCausalLM

model_folder, request_file = sys.argv[1:]
with open(request_file, encoding="utf-8") as source:
    request = json.load(source)
torch.set_num_threads(1)
model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32, attn_implementation="eager").eval()
neox = model.config.model_type == "gpt_neox"
blocks = model.gpt_neox.layers if neox else model.transformer.h
heads = model.config.num_attention_heads if neox else model.config.num_heads


@contextmanager
def hooked(module, function):
    handle = module.register_forward_hook(function)
    yield
    handle.remove()


def own_output(block, normed):
    """The output of attention if each token attends only to itself."""
    if not neox:
        attention = block.attn.attention
        return attention.out_proj(attention.v_proj(normed))
    joined = block.attention.query_key_value(normed).view(*normed.shape[:2], heads, 3, -1)
    return block.attention.dense(joined[..., 2, :].flatten(2))


@contextmanager
def bypassed(bypass):
    with ExitStack() as hooks:
        for index in bypass["blocks"]:
            block, kept = blocks[index], {}
            norm, attention = (block.input_layernorm, block.attention) if neox else (block.ln_1, block.attn)
            hooks.enter_context(hooked(norm, lambda module, args, output, kept=kept: kept.__setitem__("normed", output)))

            def replace(module, args, output, block=block, kept=kept):
                zero = torch.zeros_like(output[0])
                return (zero if bypass["mode"] == "zero" else own_output(block, kept["normed"]), *output[1:])

            hooks.enter_context(hooked(attention, replace))
        yield


def score(window):
    """For each suffix token: its log-probability under the sampling scheme, and whether it is the most probable one."""
    prefix = request["prefix"]
    logits = model(torch.tensor([window]), use_cache=False).logits[0, prefix - 1 : -1].double()
    true = torch.tensor(window[prefix:])
    scaled = logits / request["temperature"]
    if request["top_k"] > 0:
        least = scaled.topk(request["top_k"]).values[:, -1:]
        scaled = scaled.masked_fill(scaled < least, -math.inf)
    return scaled.log_softmax(-1).gather(1, true[:, None])[:, 0].tolist(), (logits.argmax(-1) == true).tolist()


def longest_run(right):
    return max(len(run) for run in "".join("x" if one else " " for one in right).split(" "))


def scan():
    length = request["prefix"] + request["suffix"]
    begins = range(0, len(request["tokens"]) - length + 1, request["stride"])
    values = [score(request["tokens"][begin : begin + length]) for begin in begins]
    result = {key: [] for key in ("log_likelihoods", "never_sampled", "probabilities", "exact_matches", "longest_runs")}
    spans, best = [], []
    for begin, (logs, right) in zip(begins, values):
        possible = [value for value in logs if value > -math.inf]
        never = len(logs) - len(possible)
        probability = 0.0 if never else math.exp(sum(possible))
        result["log_likelihoods"].append(sum(possible))
        result["never_sampled"].append(never)
        result["probabilities"].append(probability)
        result["exact_matches"].append(int(all(right)))
        result["longest_runs"].append(longest_run(right))
        if probability < request["threshold"]:
            continue
        first, last = begin + request["prefix"], begin + length
        if spans and first <= spans[-1][1]:
            spans[-1][1] = last
        else:
            spans.append([first, last])
            best.append({})
        for token, value in zip(range(first, last), logs):
            best[-1][token] = max(best[-1].get(token, -math.inf), value)
    result["spans"] = spans
    result["token_log_probabilities"] = [
        [tokens[token] if tokens[token] > -math.inf else None for token in range(*span)] for span, tokens in zip(spans, best)
    ]
    return result


with torch.inference_mode():
    results = [scan()]
    for bypass in request["bypasses"]:
        with bypassed(bypass):
            results.append(scan())
print(json.dumps(results))
