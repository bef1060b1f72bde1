"""What hooks on Hugging Face's modules give where heads, attention or MLPs are bypassed or replaced by their means.

python attention_hooks.py MODEL REQUEST.json

The request: {"rows": tokens, of one length, "cases": [{"mode", "blocks": [...], "heads": {block: [...]}, "part"}]}. Prints,
in float32, {"means": for each block its mean head outputs, "mlp_means": for each block the mean output of its MLP, "shares": for each block, "head_shares", "logits": for
each case, flat}. Means and shares are over all tokens of the rows.
"""

import json
import sys
from contextlib import ExitStack

import torch
from transformers import AutoModelForCausalLM

model_folder, request_file = sys.argv[1:]
with open(request_file, encoding="utf-8") as source:
    request = json.load(source)
rows = torch.tensor(request["rows"])
model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32, attn_implementation="eager").eval()
neox, neo = (model.config.model_type == name for name in ("gpt_neox", "gpt_neo"))
blocks = model.gpt_neox.layers if neox else model.transformer.h
heads = model.config.num_heads if neo else model.config.num_attention_heads
size = model.config.hidden_size // heads


def attention_of(block):
    return block.attention if neox else block.attn.attention if neo else block.attn


def output_of(block):
    """The projection that what the heads mix goes through."""
    attention = attention_of(block)
    return attention.dense if neox else attention.out_proj if neo else attention.c_proj


def output_matrix(block):
    """The weight of that projection, as a linear layer has it; GPT-2 stores it transposed."""
    weight = output_of(block).weight
    return weight if neox or neo else weight.T


def first(output):
    return output[0] if isinstance(output, tuple) else output


def own_values(block, normed):
    """Each token's own value, the heads side by side."""
    if neo:
        return attention_of(block).v_proj(normed)
    if not neox:
        return attention_of(block).c_attn(normed).chunk(3, -1)[2]
    joined = attention_of(block).query_key_value(normed).view(*normed.shape[:2], heads, 3, size)
    return joined[..., 2, :].flatten(2)


def survey():
    """Means of what is mixed, and shares of the stream that attention and its heads write."""
    mixed, widened, streams = {}, {}, {}
    with ExitStack() as hooks:
        for index, block in enumerate(blocks):
            hooks.enter_context(Hook(output_of(block), lambda module, args, i=index: mixed.__setitem__(i, args[0])))
            hooks.enter_context(OutputHook(block.mlp, lambda module, args, output, i=index: widened.__setitem__(i, output)))
            hooks.enter_context(OutputHook(block, lambda module, args, output, i=index: streams.__setitem__(i, first(output))))
        model(rows, use_cache=False)
    means, mlp_means, shares, head_shares = [], [], [], []
    for index, block in enumerate(blocks):
        projection = output_of(block)
        lengths = streams[index].norm(dim=-1)
        means.append(mixed[index].flatten(0, 1).mean(0).tolist())
        mlp_means.append(widened[index].flatten(0, 1).mean(0).tolist())
        shares.append((projection(mixed[index]).norm(dim=-1) / lengths).mean().item())
        parts = mixed[index].unflatten(-1, (heads, size)), output_matrix(block).unflatten(1, (heads, size))
        head_shares.append(
            [((parts[0][..., h, :] @ parts[1][:, h].T).norm(dim=-1) / lengths).mean().item() for h in range(heads)]
        )
    return means, mlp_means, shares, head_shares


class Hook:
    """A forward pre-hook for as long as it is in use."""

    def __init__(self, module, function):
        self.module, self.function = module, function

    def __enter__(self):
        self.handle = self.module.register_forward_pre_hook(self.function)

    def __exit__(self, *_):
        self.handle.remove()


class OutputHook(Hook):
    def __enter__(self):
        self.handle = self.module.register_forward_hook(self.function)


def replace_heads(block, chosen, mode, mean, values):
    def hook(module, args):
        mixed = args[0].clone()
        for head in chosen:
            part = slice(head * size, (head + 1) * size)
            mixed[..., part] = {"zero": 0, "mean": mean[part], "short-circuit": None}[mode] if mode != "short-circuit" \
                else values["own"][..., part]
        return (mixed,)

    return hook


def logits_of(case, means, mlp_means):
    with ExitStack() as hooks:
        for index, block in enumerate(blocks):
            attention = block.attention if neox else block.attn
            mean = torch.tensor(means[index])
            part = case.get("part", "attention")
            if index in case["blocks"] and part != "attention":
                instead = torch.tensor(mlp_means[index]) if case["mode"] == "mean" else torch.zeros_like(mean)
                hooks.enter_context(
                    OutputHook(block.mlp, lambda module, args, output, instead=instead: instead.expand_as(output))
                )
            if index in case["blocks"] and part != "mlp":
                # GPT-NeoX calls its attention by name, and GPT-Neo's by position: the output is the first of a tuple.
                replaced = output_of(block)(mean) if case["mode"] == "mean" else torch.zeros_like(mean)

                def whole(module, args, output, replaced=replaced):
                    return (replaced.expand_as(output[0]), *output[1:])

                hooks.enter_context(OutputHook(attention, whole))
            chosen = case["heads"].get(str(index), [])
            if chosen:
                values = {}
                norm = block.input_layernorm if neox else block.ln_1

                def remember(module, args, output, block=block, values=values):
                    values["own"] = own_values(block, output)

                hooks.enter_context(OutputHook(norm, remember))
                hooks.enter_context(Hook(output_of(block), replace_heads(block, chosen, case["mode"], mean, values)))
        return model(rows, use_cache=False).logits.flatten().tolist()


with torch.inference_mode():
    means, mlp_means, shares, head_shares = survey()
    logits = [logits_of(case, means, mlp_means) for case in request["cases"]]
print(json.dumps({"means": means, "mlp_means": mlp_means, "shares": shares, "head_shares": head_shares, "logits": logits}))
