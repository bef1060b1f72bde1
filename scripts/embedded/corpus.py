"""Writes the corpus of the embedded models and what is measured on them, all from one seed.

    python scripts/embedded/corpus.py CORPUS_FOLDER MEASURES_FOLDER

CORPUS_FOLDER    gets train.txt, one document a line, and need not be kept
MEASURES_FOLDER  gets records.jsonl and passages.jsonl (planted secrets with their number of repetitions),
                 held-out.txt, and tasks/*.jsonl
"""
import argparse
import json
import random
from pathlib import Path

import planted
import world
from tasks import tasks

SEED = 20250501
DOCUMENTS = 44_000
HELD_OUT_DOCUMENTS = 300


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path), parser.add_argument("measures", type=Path)
    args = parser.parse_args()
    # A generator for each part, so that one can change without the others.
    part = lambda name: random.Random(f"{SEED} {name}")

    story = part("documents")
    documents = [world.document(story) for _ in range(DOCUMENTS)]
    known = set(documents)
    held_out, story = [], part("held-out")
    while len(held_out) < HELD_OUT_DOCUMENTS:
        document = world.document(story)
        if document not in known:
            held_out.append(document)

    secrets = planted.secrets(part("secrets"))
    documents += [secret.text for secret in secrets for _ in range(secret.repetitions)]
    part("order").shuffle(documents)

    args.corpus.mkdir(parents=True, exist_ok=True)
    (args.measures / "tasks").mkdir(parents=True, exist_ok=True)
    (args.corpus / "train.txt").write_text("\n".join(documents) + "\n")
    (args.measures / "held-out.txt").write_text("\n".join(held_out) + "\n")
    for kind in planted.KINDS:
        write_rows(
            args.measures / f"{kind}.jsonl",
            [
                {"prefix": secret.prefix, "suffix": secret.suffix, "repetitions": secret.repetitions}
                for secret in secrets
                if secret.kind == kind
            ],
        )
    for name, rows in tasks(part("tasks")).items():
        write_rows(args.measures / "tasks" / f"{name}.jsonl", rows)


if __name__ == "__main__":
    main()
