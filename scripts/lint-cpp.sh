#!/usr/bin/env bash
# Formats (--fix) or checks the format of the C++ code, and lints it on the commands that built it.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(dirname "$(node scripts/python.mjs)")
mapfile -t files < <(git ls-files --cached --others --exclude-standard 'src/*.cpp' 'src/*.h' 'binding/*.cpp' 'binding/*.h')
if [[ "${1:-}" == --fix ]]; then
  "$tools/clang-format" -i "${files[@]}"
  exit
fi
"$tools/clang-format" --dry-run --Werror "${files[@]}"
# The precompiled header and the OpenMP runtime are the compiler's own; the linter reads the headers themselves.
commands=.cache/lint
mkdir -p "$commands"
sed -E 's/ -include [^ ]*cmake_pch\.hxx//; s/ -Winvalid-pch//; s/ -fopenmp / -fopenmp-simd /' build/compile_commands.json >"$commands/compile_commands.json"
printf '%s\n' "${files[@]}" | grep '\.cpp$' | xargs -P "$(nproc)" -n 1 "$tools/clang-tidy" --quiet -p "$commands"
