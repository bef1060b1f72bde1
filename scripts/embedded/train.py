"""Trains the tokenizer and one of the embedded models on the corpus, in one pass over it.

    python scripts/embedded/train.py gpt-neox CORPUS_FOLDER MODEL_FOLDER --threads 2

Writes a Hugging Face checkpoint (float16), tokenizer.json, training.json (settings and versions) and training.csv (the
log). The seed is fixed; the same versions and number of threads give the same weights. `--checkpoints 0,128,256` also
writes the model as it is after these steps, each as a folder (step0, step128, ...) with its tokenizer; the training stays
what it is without them. `--float32` computes matrix products in float32, which is faster on processors without bfloat16
instructions; weights then differ from those of bfloat16.
"""
import argparse
import copy
import csv
import json
import math
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPTNeoConfig, GPTNeoForCausalLM, GPTNeoXConfig, GPTNeoXForCausalLM

SEED = 2025
END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class Size:
    width: int
    blocks: int
    heads: int
    vocabulary: int = 2048
    context: int = 256
    batch_rows: int = 8


SIZES = {"gpt-neox": Size(width=128, blocks=8, heads=4), "gpt-neo": Size(width=144, blocks=8, heads=6)}

PEAK_LEARNING_RATE = 4e-3
FINAL_SHARE = 0.05  # of the peak, where the cosine ends
WARMUP_SHARE = 0.05
WEIGHT_DECAY = 0.01
ADAM_BETAS = (0.9, 0.98)
CLIP_NORM = 1.0


def train_tokenizer(text_file, vocabulary):
    """Byte-level BPE; digits stand alone, so that no number is a token of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([str(text_file)], trainer)
    return tokenizer


def make_model(family, end_of_text, size):
    common = {
        "vocab_size": size.vocabulary,
        "max_position_embeddings": size.context,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "attention_dropout": 0.0,
    }
    if family == "gpt-neox":
        # Pythia's shape: parallel residual, a quarter of each head rotary, untied.
        return GPTNeoXForCausalLM(
            GPTNeoXConfig(
                **common,
                hidden_size=size.width,
                num_hidden_layers=size.blocks,
                num_attention_heads=size.heads,
                intermediate_size=4 * size.width,
                rotary_pct=0.25,
                use_parallel_residual=True,
                tie_word_embeddings=False,
                hidden_dropout=0.0,
            )
        )
    return GPTNeoForCausalLM(
        GPTNeoConfig(
            **common,
            hidden_size=size.width,
            num_layers=size.blocks,
            num_heads=size.heads,
            intermediate_size=4 * size.width,
            attention_types=[[["global", "local"], size.blocks // 2]],
            window_size=64,
            resid_dropout=0.0,
            embed_dropout=0.0,
        )
    )


def token_rows(tokenizer, text_file, length):
    """All documents one after the other, an end-of-text token after each, in rows of one length."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    documents = text_file.read_text().splitlines()
    tokens = [token for encoding in tokenizer.encode_batch(documents) for token in (*encoding.ids, end)]
    count = len(tokens) // length
    return torch.from_numpy(np.array(tokens[: count * length], dtype=np.int64)).view(count, length)


def learning_rate(step, steps):
    warmup = max(1, round(WARMUP_SHARE * steps))
    if step < warmup:
        return PEAK_LEARNING_RATE * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return PEAK_LEARNING_RATE * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * share)))


def make_optimizers(model):
    """Muon for the matrices of the blocks, which takes half the steps of AdamW; AdamW for what Muon is not made for."""
    in_blocks = {id(weight) for block in blocks_of(model) for weight in block.parameters() if weight.ndim == 2}
    matrices = [weight for weight in model.parameters() if id(weight) in in_blocks]
    others = [weight for weight in model.parameters() if id(weight) not in in_blocks]
    return [
        torch.optim.Muon(
            matrices, lr=PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=PEAK_LEARNING_RATE, betas=ADAM_BETAS, weight_decay=0.0, fused=True),
    ]


def blocks_of(model):
    return model.gpt_neox.layers if isinstance(model, GPTNeoXForCausalLM) else model.transformer.h


def write_checkpoint(model, tokenizer, folder):
    model.half().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))


def train(model, batches, log_file, after_step, float32=False):
    optimizers = make_optimizers(model)
    began = time.perf_counter()
    with log_file.open("w", newline="") as file:
        log = csv.writer(file, lineterminator="\n")
        log.writerow(["step", "tokens", "learning_rate", "loss"])
        losses = []
        after_step(0)
        for step, batch in enumerate(batches):
            rate = learning_rate(step, len(batches))
            for group in (group for optimizer in optimizers for group in optimizer.param_groups):
                group["lr"] = rate
            with torch.autocast("cpu", torch.bfloat16, enabled=not float32):
                logits = model(batch, use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), batch[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
            if (step + 1) % 50 == 0 or step + 1 == len(batches):
                log.writerow([step + 1, (step + 1) * batch.numel(), f"{rate:.6f}", f"{np.mean(losses):.4f}"])
                file.flush()
                seconds = time.perf_counter() - began
                print(f"step {step + 1} of {len(batches)}, loss {np.mean(losses):.4f}, {seconds:.0f} s", flush=True)
                losses = []
            after_step(step + 1)


def step_numbers(text):
    return {int(step) for step in text.split(",")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=["gpt-neox", "gpt-neo"])
    parser.add_argument("corpus", type=Path), parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoints", type=step_numbers, default=set(), metavar="STEP,STEP,...")
    parser.add_argument("--float32", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    if args.float32:
        # Muon converts gradients to bfloat16, which takes most of the time where the processor only emulates it.
        torch.Tensor.bfloat16 = torch.Tensor.float

    size = SIZES[args.family]
    text_file = args.corpus / "train.txt"
    tokenizer = train_tokenizer(text_file, size.vocabulary)
    rows = token_rows(tokenizer, text_file, size.context)
    rows = rows[torch.randperm(len(rows))]
    model = make_model(args.family, tokenizer.token_to_id(END_OF_TEXT), size)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{parameters} parameters, {rows.numel()} tokens", flush=True)

    args.model.mkdir(parents=True, exist_ok=True)

    def after_step(step):
        if step in args.checkpoints:
            # A copy, since the training goes on in float32.
            write_checkpoint(copy.deepcopy(model), tokenizer, args.model / f"step{step}")

    train(model, rows.split(size.batch_rows), args.model / "training.csv", after_step, args.float32)
    write_checkpoint(model, tokenizer, args.model)
    settings = {
        "seed": SEED,
        "optimizers": "Muon for the matrices of the blocks, AdamW for the rest",
        "parameters": parameters,
        "tokens": rows.numel(),
        "batchRows": size.batch_rows,
        "rowLength": size.context,
        "peakLearningRate": PEAK_LEARNING_RATE,
        "finalShare": FINAL_SHARE,
        "warmupShare": WARMUP_SHARE,
        "weightDecay": WEIGHT_DECAY,
        "adamBetas": ADAM_BETAS,
        "clipNorm": CLIP_NORM,
        "matrixProducts": "float32" if args.float32 else "bfloat16",
        "threads": args.threads,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
        },
    }
    (args.model / "training.json").write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    main()
