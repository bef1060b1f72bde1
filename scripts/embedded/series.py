"""Trains a small sibling of the embedded models for a minute and writes its checkpoints, for the tests of sweeps over
training.

    python scripts/embedded/series.py test/fixtures/training-series

Writes step0, step40, ... (Hugging Face checkpoints in float16), secrets.jsonl (which the training text repeats),
control.jsonl (which are in no training text), causes.jsonl (questions), and expected.json: what transformers measures
on the checkpoints. Seeds are fixed; the same versions and
type of processor give the same weights.
"""
import argparse
import copy
import json
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import GPTNeoXForCausalLM

import planted
import tasks
import train
import world
from corpus import write_rows

SEED = 20260101
SIZE = train.Size(width=48, blocks=4, heads=3, vocabulary=320, context=128, batch_rows=16)
STEPS = (0, 40, 80, 160, 320, 640)
SECRETS = 24
REPETITIONS = 500
DOCUMENTS = 1200
CAUSES = 2000
QUESTIONS = 60


def secret(rng):
    """A prefix and a suffix that cannot be inferred from it."""
    prefix = planted.clause(rng)
    return prefix[0].upper() + prefix[1:], f" {rng.choice(planted.JOINTS)} {planted.clause(rng)}."


def question(rng):
    """Which of two causes an effect has."""
    (cause, *effects), (other, *_) = rng.sample(world.CAUSES, 2)
    return tasks.arranged(rng, f"{world.capital(rng.choice(effects))}, because", cause, [other])


def exact_matches(model, tokenizer, rows):
    """How many suffixes greedy decoding generates from their prefixes."""
    def matches(prefix, suffix):
        begin, end = tokenizer.encode(prefix).ids, tokenizer.encode(suffix).ids
        ids = torch.tensor([begin])
        made = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=len(end), max_new_tokens=len(end)
        )
        return made[0, len(begin) :].tolist() == end

    return sum(matches(prefix, suffix) for prefix, suffix in rows)


def right_answers(model, tokenizer, questions):
    """How many questions have their right choice as the one with the largest sum of log-probabilities."""
    def log_likelihood(query, choice):
        begin, end = tokenizer.encode(query).ids, tokenizer.encode(" " + choice).ids
        logits = model(torch.tensor([begin + end])).logits[0, len(begin) - 1 : -1].log_softmax(-1)
        return logits[range(len(end)), end].sum().item()

    chosen = [max(range(2), key=lambda index: log_likelihood(row["query"], row["choices"][index])) for row in questions]
    return sum(choice == row["gold"] for choice, row in zip(chosen, questions))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    torch.manual_seed(train.SEED)
    torch.use_deterministic_algorithms(True)
    torch.Tensor.bfloat16 = torch.Tensor.float  # As with `train.py --float32`, which every processor is fast at.

    part = lambda name: random.Random(f"{SEED} {name}")
    rng = part("secrets")
    secrets = [secret(rng) for _ in range(2 * SECRETS)]
    learned, control = secrets[:SECRETS], secrets[SECRETS:]
    story = part("documents")
    documents = [world.document(story) for _ in range(DOCUMENTS)]
    documents += [world.causes(story) for _ in range(CAUSES)]
    documents += [prefix + suffix for prefix, suffix in learned for _ in range(REPETITIONS)]
    part("order").shuffle(documents)

    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("secrets", learned), ("control", control)):
        write_rows(folder / f"{name}.jsonl", [{"prefix": prefix, "suffix": suffix} for prefix, suffix in rows])
    questions = tasks.distinct(question, part("questions"), QUESTIONS)
    write_rows(folder / "causes.jsonl", questions)

    with TemporaryDirectory() as temporary:
        text_file = Path(temporary) / "train.txt"
        text_file.write_text("\n".join(documents) + "\n")
        tokenizer = train.train_tokenizer(text_file, SIZE.vocabulary)
        rows = train.token_rows(tokenizer, text_file, SIZE.context)
        rows = rows[torch.randperm(len(rows))]
        batches = rows.split(SIZE.batch_rows)[: STEPS[-1]]
        model = train.make_model("gpt-neox", tokenizer.token_to_id(train.END_OF_TEXT), SIZE)

        def after_step(step):
            if step in STEPS:
                train.write_checkpoint(copy.deepcopy(model), tokenizer, folder / f"step{step}")

        train.train(model, batches, Path(temporary) / "training.csv", after_step, float32=True)

    expected = {}
    with torch.no_grad():
        for step in STEPS:
            written = GPTNeoXForCausalLM.from_pretrained(folder / f"step{step}", dtype=torch.float32).eval()
            expected[f"step{step}"] = {
                "secrets": exact_matches(written, tokenizer, learned),
                "control": exact_matches(written, tokenizer, control),
                "causes": right_answers(written, tokenizer, questions),
            }
    (folder / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


if __name__ == "__main__":
    main()
