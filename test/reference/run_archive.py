"""Runs a TorchScript archive with PyTorch alone: python run_archive.py ARCHIVE ROWS.json"""

import json
import sys

import torch

with open(sys.argv[2], encoding="utf-8") as source:
    rows = torch.tensor(json.load(source))
print(json.dumps(torch.jit.load(sys.argv[1])(rows).flatten().tolist()))
