"""Perplexity of token ids by windows, on Hugging Face transformers.

python perplexity.py MODEL TOKENS.json CONTEXT_LENGTH STRIDE [--tokenize TEXT TOKENIZER LIMIT]

Each window scores the tokens that no window before it has; the first token of the text is not scored. With
--tokenize, TOKENS.json is written first: the first LIMIT tokens of the file TEXT. TOKENIZER is a tokenizer.json, or a
folder with vocab.json and merges.txt.
"""

import argparse
import json
import math
import os

import torch
from tokenizers import ByteLevelBPETokenizer, Tokenizer
from transformers import AutoModelForCausalLM


def load_tokenizer(place):
    if os.path.isdir(place):
        return ByteLevelBPETokenizer(f"{place}/vocab.json", f"{place}/merges.txt")
    return Tokenizer.from_file(place)


@torch.inference_mode()
def perplexity(model, tokens, context_length, stride):
    total, scored = 0.0, 1
    for begin in range(0, len(tokens), stride):
        end = min(begin + context_length, len(tokens))
        window = torch.tensor([tokens[begin:end]])
        log_probabilities = model(window).logits[0, :-1].log_softmax(-1)
        true = log_probabilities.gather(1, window[0, 1:, None])[:, 0]
        total -= true[scored - begin - 1 :].double().sum().item()
        scored = end
        if end == len(tokens):
            return math.exp(total / (len(tokens) - 1))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("tokens")
parser.add_argument("context_length", type=int)
parser.add_argument("stride", type=int)
parser.add_argument("--tokenize", nargs=3, metavar=("TEXT", "TOKENIZER", "LIMIT"))
args = parser.parse_args()
if args.tokenize:
    text, tokenizer, limit = args.tokenize
    with open(text, encoding="utf-8") as source, open(args.tokens, "w", encoding="utf-8") as target:
        json.dump(load_tokenizer(tokenizer).encode(source.read()).ids[: int(limit)], target)
with open(args.tokens, encoding="utf-8") as source:
    ids = json.load(source)
model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
print(json.dumps({"perplexity": perplexity(model, ids, args.context_length, args.stride), "tokens": ids}))
