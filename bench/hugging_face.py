"""Times Hugging Face transformers on a checkpoint: python hugging_face.py FOLDER THREADS [--device cuda:0]
[--dtype bfloat16] [--rows 64] [--tokens 64]

Prints JSON with the seconds of greedy decoding of one row (64 tokens after a prompt of 8) and of a forward pass of
64 rows of 64 tokens, its logits brought to the processor's memory, each the best of a few runs after a warm-up.
"""

import argparse
import json
import time

import torch
from transformers import AutoModelForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("threads", type=int)
parser.add_argument("--device", default="cpu")
parser.add_argument("--dtype", default="float32")
parser.add_argument("--rows", type=int, default=64)
parser.add_argument("--tokens", type=int, default=64)
args = parser.parse_args()


def clock():
    if args.device.startswith("cuda"):
        torch.cuda.synchronize(args.device)
    return time.perf_counter()


def best_of(runs, work):
    work()
    times = []
    for _ in range(runs):
        started = clock()
        work()
        times.append(clock() - started)
    return min(times)


torch.set_num_threads(args.threads)
dtype = getattr(torch, args.dtype)
try:
    model = AutoModelForCausalLM.from_pretrained(args.folder, dtype=dtype)
except TypeError:  # Before transformers 4.56.
    model = AutoModelForCausalLM.from_pretrained(args.folder, torch_dtype=dtype)
model = model.to(args.device).eval()
distinct = min(50000, model.config.vocab_size)
prompt = torch.arange(8, device=args.device).unsqueeze(0)
rows = (torch.arange(args.rows * args.tokens, device=args.device) % distinct).view(args.rows, args.tokens)
with torch.inference_mode():
    decode = best_of(
        2,
        lambda: model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            min_new_tokens=args.tokens,
            max_new_tokens=args.tokens,
            pad_token_id=0,
        ),
    )
    forward = best_of(2, lambda: model(rows, use_cache=False).logits.cpu())
print(json.dumps({"decode": decode, "forward": forward}))
