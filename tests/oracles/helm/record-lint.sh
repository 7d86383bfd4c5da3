#!/bin/sh
# Records what `helm lint` prints of chart cases: fills the "want" section of each file.
#
#   HELM=path/to/helm sh record-lint.sh FILE...
#
# A case is a text of sections headed `-- path --`: `args` (one a line) and files below `chart/`.
set -eu
for file in "$@"; do
    file=$(realpath "$file")
    dir=$(mktemp -d)
    awk -v dir="$dir" '
        /^-- want --$/ { exit }
        /^-- .* --$/ { out = dir "/" substr($0, 4, length($0) - 6); d = out; sub("/[^/]*$", "", d); system("mkdir -p \"" d "\""); printf "" > out; next }
        { print > out }
    ' "$file"
    awk '/^-- want --$/ { exit } { print }' "$file" > "$dir.case"
    (
        cd "$dir"
        set --
        while IFS= read -r arg; do set -- "$@" "$arg"; done < args
        "${HELM:-helm}" lint "$@" 2>&1 | grep -v '^level=\(WARN\|INFO\)' | sed "s|$dir/||g" > "$dir.out"
    ) || true
    { cat "$dir.case"; echo "-- want --"; cat "$dir.out"; } > "$file"
    rm -r "$dir" "$dir.case" "$dir.out"
done
