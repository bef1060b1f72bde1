"""Executes a notebook in a folder and writes the executed copy, as far as it came: notebook.py NOTEBOOK OUTPUT FOLDER."""

import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

source, output, folder = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
client = NotebookClient(
    notebook,
    timeout=600,
    record_timing=False,
    coalesce_streams=True,
    resources={"metadata": {"path": folder}},
)
try:
    client.execute()
except CellExecutionError as error:
    sys.exit(str(error))
finally:
    nbformat.write(notebook, output)
