"""The five tasks of the lm-evaluation-harness by its own definitions, on the first rows whose choices are short."""
import json
from pathlib import Path

import lm_eval
import yaml
from lm_eval.api.task import ConfigurableTask

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
HARNESS = Path(lm_eval.__file__).parent / "tasks"


def definition(file: str, functions: str | None = None) -> dict:
    """A definition of the harness, with the Python functions that it names in place of their names."""
    namespace: dict = {}
    if functions:
        exec((HARNESS / file).parent.joinpath(f"{functions}.py").read_text(), namespace)

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: namespace.get(node.value.split(".")[-1]))
    config = yaml.load((HARNESS / file).read_text(), Loader)
    for key in ("tag", "dataset_name", "training_split", "process_docs"):
        config.pop(key, None)
    return config


def short(row: dict) -> bool:
    choices = row.get("choices", [row.get("sol1", ""), row.get("sol2", "")])
    return all(len(choice) <= 200 for choice in (choices["text"] if isinstance(choices, dict) else choices))


def tasks(folder: Path, limit: int) -> list[ConfigurableTask]:
    def first(name: str, file: str, change=lambda row, index: row) -> str:
        rows = [json.loads(line) for line in (DATA / "tasks" / file).read_text().splitlines()]
        chosen = [change(row, index) for index, row in enumerate(rows) if short(row)][:limit]
        written = folder / f"{name}.jsonl"
        written.write_text("".join(json.dumps(row) + "\n" for row in chosen))
        return str(written)

    labels = (DATA / "tasks/piqa.valid-labels.lst").read_text().split()
    sources = [
        (definition("arc/arc_easy.yaml"), first("arc_easy", "arc_easy.test.jsonl")),
        (
            {**definition("hellaswag/hellaswag.yaml"), "doc_to_target": "{{gold}}"},
            first("hellaswag", "hellaswag.val.jsonl"),
        ),
        (definition("lambada/lambada_openai.yaml"), first("lambada_openai", "lambada_openai.test.jsonl")),
        (
            definition("piqa/piqa.yaml"),
            first("piqa", "piqa.valid.jsonl", lambda row, index: {**row, "label": int(labels[index])}),
        ),
        (definition("winogrande/default.yaml", "preprocess_winogrande"), first("winogrande", "winogrande.dev.jsonl")),
    ]
    made = []
    for config, rows in sources:
        split = {"validation_split": None, "test_split": "test"}
        files = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": rows}}}
        made.append(ConfigurableTask(config={**config, **split, **files}))
    return made
