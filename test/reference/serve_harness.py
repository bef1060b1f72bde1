#!/usr/bin/env python3
"""What the lm-evaluation-harness gives through the server, with its own client of completions, local-completions.

    python -m venv harness && harness/bin/pip install "lm-eval[api]==0.4.13" transformers==5.17.0
    attention-bypass serve models/gpt-neox --bypass q4 --port 8080
    harness/bin/python test/reference/serve_harness.py http://127.0.0.1:8080 models/gpt-neox gpt-neox gpt-neox:q4

Prints the scores as JSON. test/serve-harness.test.ts sends what this client sends, for fewer rows.
"""
import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1", DISABLE_MULTIPROC="1")

from lm_eval import evaluator
from lm_eval.models.openai_completions import LocalCompletionsAPI

from harness_tasks import tasks


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("tokenizer")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--tasks", nargs="*", default=["arc_easy", "lambada_openai"])
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--concurrent", type=int, default=4)
    options = parser.parse_args()
    scores = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            client = LocalCompletionsAPI(
                model=name,
                base_url=f"{options.url}/v1/completions",
                tokenizer=options.tokenizer,
                tokenizer_backend="huggingface",
                tokenized_requests=True,
                num_concurrent=options.concurrent,
                batch_size=options.batch_size,
                # The client keeps one token of it for the generated one.
                max_length=options.max_length,
            )
            chosen = [task for task in tasks(Path(folder), options.limit) if task.config.task in options.tasks]
            results = evaluator.simple_evaluate(model=client, tasks=chosen, random_seed=0)["results"]
            scores[name] = {
                task: {key.removesuffix(",none"): value for key, value in values.items() if isinstance(value, float)}
                for task, values in results.items()
            }
    print(json.dumps(scores, indent=2))


if __name__ == "__main__":
    main()
