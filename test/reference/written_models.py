"""Logits and greedy tokens of written models, by Hugging Face for folders and by PyTorch alone for archives.

python written_models.py REQUEST.json

The request: {"new_tokens": count, "models": [{"path", "rows": tokens, of one length, "logits": file to write, "text": for the
tokenizer, if any}]}. Writes logits as 32-bit floats, computed in float32. Prints a list with, for each model, {"greedy": the tokens generated after each row,
"problems": keys that were missing, unexpected or of another shape, "tied": whether the embeddings are one, "ids": of the text}.
"""

import json
import os
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

with open(sys.argv[1], encoding="utf-8") as source:
    request = json.load(source)


def open_folder(path):
    model, info = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
    problems = [str(key) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for key in info[kind]]
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    return (lambda ids: model.eval()(ids, use_cache=False).logits), problems, tied


def open_archive(path):
    return torch.jit.load(path), [], None


def greedy(forward, rows):
    ids = rows
    for _ in range(request["new_tokens"]):
        ids = torch.cat([ids, forward(ids)[:, -1].argmax(-1, keepdim=True)], 1)
    return ids[:, rows.shape[1] :].tolist()


results = []
with torch.inference_mode():
    for model in request["models"]:
        path, rows = model["path"], torch.tensor(model["rows"])
        forward, problems, tied = open_folder(path) if os.path.isdir(path) else open_archive(path)
        forward(rows).float().numpy().astype(np.float32).tofile(model["logits"])
        ids = AutoTokenizer.from_pretrained(path).encode(model["text"]) if "text" in model else None
        results.append({"greedy": greedy(forward, rows), "problems": problems, "tied": tied, "ids": ids})
print(json.dumps(results))
