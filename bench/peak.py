"""Measures the machine's matrix products: python peak.py THREADS prints JSON with operations a second by dtype."""

import json
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))
peaks = {}
for dtype in ("float32", "bfloat16"):
    left, right = (torch.randn(2048, 2048).to(getattr(torch, dtype)) for _ in range(2))
    best = float("inf")
    for _ in range(12):
        started = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - started)
    peaks[dtype] = 2 * 2048**3 / best
print(json.dumps(peaks))
