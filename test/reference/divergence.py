"""How far a bypass of one block takes Hugging Face's model from itself, in float64.

python divergence.py MODEL TOKENS BLOCK MODE

Prints, for each token, {"streams": norms after each block, "distances", "contributions": of the block's attention,
"divergence": KL of the next token in nats, "changed": share of the positions with another most probable token}.
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM

folder, tokens, block, mode = sys.argv[1:]
row = torch.tensor([json.loads(tokens)])
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
neox = model.config.model_type == "gpt_neox"
blocks = model.gpt_neox.layers if neox else model.transformer.h
attention = blocks[int(block)].attention if neox else blocks[int(block)].attn
contributions = []


def streams():
    """The residual stream after each block, and logits."""
    kept = []
    hooks = [
        each.register_forward_hook(
            lambda module, args, output: kept.append(output[0] if isinstance(output, tuple) else output)
        )
        for each in blocks
    ]
    logits = model(row, use_cache=False).logits
    for hook in hooks:
        hook.remove()
    return [stream.squeeze(0) for stream in kept], logits.squeeze(0)


def replace(module, args, output):
    hidden = args[0]
    if mode == "zero":
        return (torch.zeros_like(output[0]), *output[1:])
    if model.config.model_type == "gpt2":
        return (module.c_proj(module.c_attn(hidden).chunk(3, -1)[2]), *output[1:])
    if not neox:
        return (module.attention.out_proj(module.attention.v_proj(hidden)), *output[1:])
    joined = module.query_key_value(hidden).view(*hidden.shape[:2], model.config.num_attention_heads, 3, -1)
    return (module.dense(joined[..., 2, :].flatten(2)), *output[1:])


with torch.inference_mode():
    remember = attention.register_forward_hook(lambda module, args, output: contributions.append(output[0].squeeze(0)))
    ours, logits = streams()
    remember.remove()
    attention.register_forward_hook(replace)
    theirs, other = streams()
    p, q = logits.log_softmax(-1), other.log_softmax(-1)
    print(
        json.dumps(
            {
                "streams": [stream.norm(dim=-1).tolist() for stream in ours],
                "distances": [(x - y).norm(dim=-1).tolist() for x, y in zip(ours, theirs)],
                "contributions": contributions[0].norm(dim=-1).tolist(),
                "divergence": (p.exp() * (p - q)).sum(-1).tolist(),
                "changed": (logits.argmax(-1) != other.argmax(-1)).double().mean().item(),
            }
        )
    )
