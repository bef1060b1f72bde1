"""How far Hugging Face transformers in half precision is from float32, with each bypass that is known: python
half_differences.py DEVICE < REQUEST

The request is a list of {"name", "folder", "input_ids", "cases"}, the last two as test/fixtures/generate.py writes them.
Prints {name: {dtype: largest difference of a logit, as a share of the largest}}; what it can't load is left out.
"""

import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM


def attention_modules(model):
    if hasattr(model, "gpt_neox"):
        return [block.attention for block in model.gpt_neox.layers]
    return [block.attn for block in model.transformer.h]


def short_circuit(model, module, hidden):
    if not hasattr(module, "query_key_value"):
        return module.attention.out_proj(module.attention.v_proj(hidden))
    heads = model.config.num_attention_heads
    joined = module.query_key_value(hidden).unflatten(-1, (heads, 3, -1))
    return module.dense(joined[..., 2, :].flatten(2))


def bypass(model, block, mode):
    def hook(module, args, kwargs, output):
        hidden = args[0] if args else kwargs["hidden_states"]
        new = torch.zeros_like(output[0]) if mode == "zero" else short_circuit(model, module, hidden)
        return (new, *output[1:])

    return attention_modules(model)[block].register_forward_hook(hook, with_kwargs=True)


def load(folder, dtype):
    try:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    except TypeError:  # Before transformers 4.56.
        return AutoModelForCausalLM.from_pretrained(folder, torch_dtype=dtype)


def difference(model, checkpoint, case, device):
    hooks = [bypass(model, block, case["mode"]) for block in case["blocks"]]
    logits = model(torch.tensor(checkpoint["input_ids"], device=device), use_cache=False).logits.float().cpu()
    for hook in hooks:
        hook.remove()
    with open(os.path.join(checkpoint["folder"], case["logits"]), "rb") as file:
        expected = torch.frombuffer(bytearray(file.read()), dtype=torch.float32).view(case["logits_shape"])
    return ((logits - expected).abs().max() / expected.abs().max()).item()


def main():
    device = sys.argv[1]
    torch.set_num_threads(1)  # The models are tiny.
    result = {}
    for checkpoint in json.load(sys.stdin):
        try:
            for name in ("bfloat16", "float16"):
                model = load(checkpoint["folder"], getattr(torch, name)).to(device).eval()
                worst = max(difference(model, checkpoint, case, device) for case in checkpoint["cases"])
                result.setdefault(checkpoint["name"], {})[name] = worst
        except (OSError, ValueError):
            continue
    print(json.dumps(result))


with torch.inference_mode():
    main()
