"""Writes state dictionaries in all the ways of Python's PyTorch into a folder, and prints what torch.load reads there.

    python test/reference/pickles.py FOLDER

prints, for each file, its tensors by name: dtype as safetensors spells it, shape, and their bytes, row by row, in hexadecimal
digits. `refused` has files that hold more than tensors.
"""
import argparse
import collections
import datetime
import json
import pathlib
import sys
import warnings

import numpy
import torch
from torch import nn

warnings.filterwarnings("ignore")
folder = pathlib.Path(sys.argv[1])
DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
    torch.uint16: "U16", torch.float8_e4m3fn: "F8_E4M3",
}


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed_in = nn.Embedding(5, 4)
        self.norm = nn.LayerNorm(4)
        self.register_buffer("steps", torch.arange(3))
        self.sizes = [1, 2, 3]

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.norm(self.embed_in(ids))


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gpt_neox = Inner()
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4, dtype=torch.bfloat16)])

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.layers[0](self.gpt_neox(ids))


def every_layout() -> dict[str, torch.Tensor]:
    """Tensors of every dtype and of the layouts that share, skip or turn what lies in storage."""
    whole = torch.randn(6, 8)
    attributed = torch.randn(3)
    attributed.note = "dropped"
    tensors = {
        "gpt_neox.embed_in.weight": torch.randn(5, 4),
        "transposed": whole.t(),
        "rows": whole[2:4],
        "columns": whole[:, 3:5],
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "attributed": attributed,
        "parameter": nn.Parameter(torch.randn(2, 2)),
        "tied": whole,
    }
    return tensors | {f"of {name}": torch.arange(6).reshape(2, 3).to(dtype) for dtype, name in DTYPES.items()}


def described(tensors: dict[str, torch.Tensor]) -> dict[str, object]:
    return {
        name: {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "bytes": bytes(tensor.detach().contiguous().view(-1).view(torch.uint8).tolist()).hex(),
        }
        for name, tensor in tensors.items()
    }


torch.manual_seed(1)
layouts = every_layout()
module = Outer()
state = module.state_dict()
optimizer = torch.optim.AdamW(module.parameters())
module.float()(torch.tensor([1, 2])).sum().backward()
optimizer.step()
training = {
    "step": 2**40,
    "far": 2**70,
    "args": argparse.Namespace(rate=1e-4, path=pathlib.PurePosixPath("/data"), flags={"a", "b"}),
    "optimizer": optimizer.state_dict(),
    "random": [torch.get_rng_state(), numpy.random.get_state(), (3, tuple(range(600)), None)],
    "numbers": [numpy.float64(0.5), 1 + 2j, b"bytes" * 100, bytearray(b"more"), frozenset([1])],
    "when": datetime.datetime(2026, 1, 1),
    "kinds": [torch.float16, torch.device("cpu"), torch.Size([1, 2])],
    "counts": collections.defaultdict(list, a=[1]),
    "model": module.state_dict(),
}
files = {}


def keep(name: str, value: object, tensors: dict[str, torch.Tensor], **options: object) -> None:
    torch.save(value, folder / name, **options)
    files[name] = described(tensors)


for protocol in (2, 3, 4, 5):
    options = {"pickle_protocol": protocol}
    keep(f"layouts-{protocol}.bin", layouts, layouts, **options)
    keep(f"state-{protocol}.bin", state, state, **options)
    keep(f"training-{protocol}.bin", training, {f"model.{name}": t for name, t in training["model"].items()}, **options)
for name, script in (
    ("scripted.pt", torch.jit.script(module)),
    ("traced.pt", torch.jit.trace(module, torch.tensor([[1, 2, 3]]))),
):
    torch.jit.save(script, folder / name)
    files[name] = described({**dict(script.named_parameters()), **dict(script.named_buffers())})

torch.save(module, folder / "module.bin")
torch.save(state, folder / "legacy.bin", _use_new_zipfile_serialization=False)
torch.save({**layouts, "sparse": torch.eye(3).to_sparse()}, folder / "sparse.bin")
print(json.dumps(files))
