#!/usr/bin/env bash
# Formats (--fix) or checks the format of the C++ code, and lints src/ and binding/ on the commands that built them.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(dirname "$(node scripts/python.mjs)")
mapfile -t files < <(git ls-files --cached --others --exclude-standard 'src/*.cpp' 'src/*.h' 'binding/*.cpp' 'binding/*.h' \
  'test/cpp/*.cpp' 'test/cpp/*.h')
if [[ "${1:-}" == --fix ]]; then
  "$tools/clang-format" -i "${files[@]}"
  exit
fi
"$tools/clang-format" --dry-run --Werror "${files[@]}"
node scripts/lint-batches.mjs | xargs -P "$(nproc)" -n 1 "$tools/clang-tidy" --quiet -p .cache/lint
