#!/usr/bin/env python3
"""What the lm-evaluation-harness gives for the five tasks on the first rows of each whose choices are short.

    python -m venv harness && harness/bin/pip install "lm-eval[hf]==0.4.13" torch==2.13.0 transformers==5.17.0
    harness/bin/python test/reference/harness.py [--limit 200] [--threads 2]    # writes harness.json beside it

Needs the shared data beside the repository, and nothing from the network. The tasks are the harness's own, by its own
definitions; only where their rows come from is changed, and HellaSwag's rows have been normalized before. Choices of
more than 200 characters are left out with their rows: the embedded models' context may not hold them.
"""
import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1", DISABLE_MULTIPROC="1")

import lm_eval
import torch
from lm_eval import evaluator
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, GPT2TokenizerFast, PreTrainedTokenizerFast

from harness_tasks import DATA, tasks

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
END = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}


def tokenizer_of(file: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_file=str(file), **END)


def gpt2_tokenizer() -> GPT2TokenizerFast:
    folder = DATA / "tokenizers" / "gpt2"
    return GPT2TokenizerFast(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), **END)


MODELS = {
    "pythia-study": (SHARED / "study/pythia-study", lambda: tokenizer_of(DATA / "tokenizers/gpt-neox-20b.tokenizer.json")),
    "gpt-neo-study": (SHARED / "study/gpt-neo-study", gpt2_tokenizer),
    "gpt-neox": (ROOT / "models/gpt-neox", lambda: tokenizer_of(ROOT / "models/gpt-neox/tokenizer.json")),
    "gpt-neo": (ROOT / "models/gpt-neo", lambda: tokenizer_of(ROOT / "models/gpt-neo/tokenizer.json")),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    scores = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            path, tokenizer = MODELS[name]
            model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
            language_model = HFLM(pretrained=model, tokenizer=tokenizer(), device="cpu", batch_size=32)
            results = evaluator.simple_evaluate(
                model=language_model, tasks=tasks(Path(folder), options.limit), random_seed=0
            )["results"]
            scores[name] = {
                task: {
                    key.removesuffix(",none"): value
                    for key, value in values.items()
                    if key.endswith(",none") and isinstance(value, float)
                }
                for task, values in results.items()
            }
    result = {"harness": lm_eval.__version__, "limit": options.limit, "scores": scores}
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
