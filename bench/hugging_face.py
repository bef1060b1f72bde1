"""Times Hugging Face transformers on a checkpoint: python hugging_face.py FOLDER THREADS

Prints JSON with the seconds of greedy decoding of one row (64 tokens after a prompt of 8) and of a forward pass of
64 rows of 64 tokens, each the best of a few runs after a warm-up.
"""

import json
import sys
import time

import torch
from transformers import AutoModelForCausalLM


def best_of(runs, work):
    work()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


torch.set_num_threads(int(sys.argv[2]))
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
prompt = torch.arange(8).unsqueeze(0)
rows = (torch.arange(64 * 64) % 50000).view(64, 64)
with torch.inference_mode():
    decode = best_of(
        2,
        lambda: model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            min_new_tokens=64,
            max_new_tokens=64,
            pad_token_id=0,
        ),
    )
    forward = best_of(2, lambda: model(rows, use_cache=False).logits)
print(json.dumps({"decode": decode, "forward": forward}))
