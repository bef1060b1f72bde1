"""Runs a script once for each list of arguments, in one process, which imports torch and transformers only once.

python several.py SCRIPT LISTS

LISTS is JSON. Prints a JSON list of what the runs printed, each of which prints one JSON value.
"""

import contextlib
import io
import json
import runpy
import sys

_, script, lists = sys.argv
results = []
for arguments in json.loads(lists):
    sys.argv = [script, *arguments]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(script, run_name="__main__")
    results.append(json.loads(printed.getvalue()))
print(json.dumps(results))
