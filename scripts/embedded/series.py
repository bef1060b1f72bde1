"""Trains a small sibling of the embedded models for a minute and writes its checkpoints, for the tests of sweeps over
training.

    python scripts/embedded/series.py test/fixtures/training-series

Writes step0, step40, ... (Hugging Face checkpoints in float16), secrets.jsonl (which the training text repeats),
control.jsonl (which are in no training text) and agreement.jsonl (questions). Seeds are fixed; the same versions and
type of processor give the same weights.
"""
import argparse
import copy
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import planted
import tasks
import train
import world
from corpus import write_rows

SEED = 20260101
SIZE = train.Size(width=48, blocks=4, heads=3, vocabulary=320, context=128, batch_rows=16)
STEPS = (0, 40, 80, 160, 320, 640)
SECRETS = 24
REPETITIONS = 120
QUESTIONS = 60


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
    secrets = [planted.passage(rng) for _ in range(2 * SECRETS)]
    learned, control = secrets[:SECRETS], secrets[SECRETS:]
    story = part("documents")
    documents = [world.document(story) for _ in range(6000)]
    documents += [prefix + suffix for prefix, suffix in learned for _ in range(REPETITIONS)]
    part("order").shuffle(documents)

    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("secrets", learned), ("control", control)):
        write_rows(folder / f"{name}.jsonl", [{"prefix": prefix, "suffix": suffix} for prefix, suffix in rows])
    write_rows(folder / "agreement.jsonl", tasks.distinct(tasks.agreement_row, part("agreement"), QUESTIONS))

    with TemporaryDirectory() as temporary:
        text_file = Path(temporary) / "train.txt"
        text_file.write_text("\n".join(documents) + "\n")
        tokenizer = train.train_tokenizer(text_file, SIZE.vocabulary)
        rows = train.token_rows(tokenizer, text_file, SIZE.context)
        rows = rows[torch.randperm(len(rows))]
        batches = rows.split(SIZE.batch_rows)[: STEPS[-1]]
        print(f"{len(rows)} rows, {len(batches)} steps", flush=True)
        model = train.make_model("gpt-neox", tokenizer.token_to_id(train.END_OF_TEXT), SIZE)

        def after_step(step):
            if step in STEPS:
                train.write_checkpoint(copy.deepcopy(model), tokenizer, folder / f"step{step}")

        train.train(model, batches, Path(temporary) / "training.csv", after_step, float32=True)


if __name__ == "__main__":
    main()
