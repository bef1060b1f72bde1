"""Logits of token rows of one length on Hugging Face transformers, in float32, as one flat list.

python logits.py MODEL ROWS.json
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM

model_folder, rows_file = sys.argv[1:]
with open(rows_file, encoding="utf-8") as source:
    rows = torch.tensor(json.load(source))
model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
with torch.inference_mode():
    print(json.dumps(model(rows).logits.flatten().tolist()))
