"""Total and direct effects of bypasses, and direct contributions to the logits, from hooks on Hugging Face's modules.

python effects.py MODEL REQUEST.json

The request: {"rows": [{"tokens", "first"}], "means": {"blocks", "mlps"}, "cases": [{"part", "mode", "blocks", "heads"}]}.
Computes in float64, one row at a time, without anything that this package computed except the means. Prints for each case,
of which one without blocks and heads is the unmodified model, and for each row the sums over the suffix:
{"total", "direct", "frozen": each [log-likelihood, logit], "contributions", "frozen_contributions": each with the
embedding, attention and MLP of each block, and the final norm's shift}.
"""

import json
import sys
from contextlib import contextmanager

import torch
from transformers import AutoModelForCausalLM

model_folder, request_file = sys.argv[1:]
with open(request_file, encoding="utf-8") as source:
    request = json.load(source)
model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float64, attn_implementation="eager").eval()
neox, neo = (model.config.model_type == name for name in ("gpt_neox", "gpt_neo"))
blocks = model.gpt_neox.layers if neox else model.transformer.h
final_norm = model.gpt_neox.final_layer_norm if neox else model.transformer.ln_f
heads = model.config.num_heads if neo else model.config.num_attention_heads
size = model.config.hidden_size // heads
means = {name: torch.tensor(rows, dtype=torch.float64) for name, rows in request["means"].items()}


def attention_of(block):
    return block.attention if neox else block.attn


def inner(block):
    """The module with the projections of attention."""
    return block.attn.attention if neo else attention_of(block)


def projection_of(block):
    return inner(block).dense if neox else inner(block).out_proj if neo else inner(block).c_proj


def project(block, mixed):
    """The attention output for what the heads mixed; GPT-2 stores the matrix transposed."""
    layer = projection_of(block)
    output = mixed @ (layer.weight.T if neox or neo else layer.weight)
    return output if layer.bias is None else output + layer.bias


def own_values(block, normed):
    if neo:
        return inner(block).v_proj(normed)
    if not neox:
        return inner(block).c_attn(normed).chunk(3, -1)[2]
    joined = inner(block).query_key_value(normed).view(*normed.shape[:2], heads, 3, size)
    return joined[..., 2, :].flatten(2)


@contextmanager
def hooked(pairs):
    """Forward hooks, each with its module, and pre-hooks, marked by a third item."""
    handles = [
        module.register_forward_pre_hook(hook) if pre else module.register_forward_hook(hook)
        for module, hook, *pre in pairs
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def first(output):
    return output[0] if isinstance(output, tuple) else output


def with_first(output, value):
    return (value, *output[1:]) if isinstance(output, tuple) else value


def bypasses(case, index, part):
    chosen = index in case["blocks"] and case.get("part", "attention") in (part, "both")
    return chosen or (part == "attention" and str(index) in case["heads"])


def attention_instead(case, index, normed, mixed):
    """What replaces the attention output under a bypass, from the norm's output and what the heads mixed."""
    block, mode = blocks[index], case["mode"]
    instead = {
        "zero": lambda: torch.zeros_like(mixed),
        "mean": lambda: means["blocks"][index].expand_as(mixed),
        "short-circuit": lambda: own_values(block, normed),
    }[mode]()
    if index in case["blocks"]:
        return torch.zeros_like(mixed) if mode == "zero" else project(block, instead)
    changed = mixed.clone()
    for head in case["heads"][str(index)]:
        part = slice(head * size, (head + 1) * size)
        changed[..., part] = instead[..., part]
    return project(block, changed)


def mlp_instead(case, index, output):
    return means["mlps"][index].expand_as(output) if case["mode"] == "mean" else torch.zeros_like(output)


def run(tokens, case, pinned=None, deviation=None):
    """Runs a row under a bypass. pinned: what another run kept; its outputs stay where nothing is bypassed, and
    replacements are computed from its inputs. deviation: by which the final norm divides instead of its own."""
    kept = {"embedding": {}, "normed": {}, "mixed": {}, "attention": {}, "mlp": {}}
    inputs = kept if pinned is None else pinned

    def keep(name, index, value):
        kept[name][index] = value

    def attention(index):
        def hook(module, args, output):
            value = first(output) if pinned is None else pinned["attention"][index]
            if bypasses(case, index, "attention"):
                value = attention_instead(case, index, inputs["normed"][index], inputs["mixed"][index])
            keep("attention", index, value)
            return with_first(output, value)

        return hook

    def mlp(index):
        def hook(module, args, output):
            value = output if pinned is None else pinned["mlp"][index]
            if bypasses(case, index, "mlp"):
                value = mlp_instead(case, index, value)
            keep("mlp", index, value)
            return value

        return hook

    def norm(module, args, output):
        kept["stream"] = args[0]
        centred = args[0] - args[0].mean(-1, keepdim=True)
        kept["deviation"] = (args[0].var(-1, unbiased=False, keepdim=True) + module.eps).sqrt()
        return output if deviation is None else centred / deviation * module.weight + module.bias

    pairs = [(final_norm, norm)]
    pairs.append((blocks[0], lambda module, args: keep("embedding", 0, args[0]), True))
    for index, block in enumerate(blocks):
        ln = block.input_layernorm if neox else block.ln_1
        pairs.append((ln, lambda module, args, output, i=index: keep("normed", i, output)))
        pairs.append((projection_of(block), lambda module, args, i=index: keep("mixed", i, args[0]), True))
        pairs.append((attention_of(block), attention(index)))
        pairs.append((block.mlp, mlp(index)))
    with hooked(pairs):
        kept["logits"] = model(torch.tensor([tokens]), use_cache=False).logits[0]
    return kept


def sums(kept, tokens, begin):
    """The log-likelihood and the logit of the suffix."""
    targets = torch.tensor(tokens[begin:]).unsqueeze(1)
    logits = kept["logits"][begin - 1 : -1]
    return [values.gather(1, targets).sum().item() for values in (logits.log_softmax(-1), logits)]


def contributions(kept, deviation, tokens, begin):
    rows = model.get_output_embeddings().weight[torch.tensor(tokens[begin:])]

    def of(output):
        centred = output - output.mean(-1, keepdim=True)
        return ((centred / deviation * final_norm.weight)[0, begin - 1 : -1] * rows).sum().item()

    parts = [kept["embedding"][0]]
    for index in range(len(blocks)):
        parts += [kept["attention"][index], kept["mlp"][index]]
    return [*map(of, parts), (rows @ final_norm.bias).sum().item()]


with torch.inference_mode():
    plain = {"blocks": [], "heads": {}, "mode": "zero"}
    result = [[] for _ in request["cases"]]
    for row in request["rows"]:
        tokens, begin = row["tokens"], row["first"]
        base = run(tokens, plain)
        for number, case in enumerate(request["cases"]):
            total = run(tokens, case)
            result[number].append(
                {
                    "total": sums(total, tokens, begin),
                    "direct": sums(run(tokens, case, base), tokens, begin),
                    "frozen": sums(run(tokens, case, base, base["deviation"]), tokens, begin),
                    "contributions": contributions(total, total["deviation"], tokens, begin),
                    "frozen_contributions": contributions(total, base["deviation"], tokens, begin),
                }
            )
print(json.dumps(result))
