#!/bin/sh
# Records what `helm template` makes of chart cases: fills the "want" or "error" section of each file.
#
#   HELM=path/to/helm sh record-charts.sh FILE...
#
# A case is a text of sections headed `-- path --`: `args` (one a line), files below `chart/`, other
# files. A path through `NAME.tgz/` becomes a file in that archive.
set -eu
for file in "$@"; do
    file=$(realpath "$file")
    dir=$(mktemp -d)
    awk -v dir="$dir" '
        /^-- (want|error) --$/ { out = ""; exit }
        /^-- .* --$/ { out = dir "/" substr($0, 4, length($0) - 6); d = out; sub("/[^/]*$", "", d); system("mkdir -p \"" d "\""); printf "" > out; next }
        { print > out }
    ' "$file"
    find "$dir" -type d -name '*.tgz' | while read -r tgz; do
        tar -C "$tgz" --sort=name -czf "$tgz.new" .  2>/dev/null && rm -r "$tgz"
        mkdir "$tgz.x" && tar -C "$tgz.x" -xzf "$tgz.new" && (cd "$tgz.x" && tar -czf "$tgz" *) && rm -r "$tgz.x" "$tgz.new"
    done
    awk '/^-- (want|error) --$/ { exit } { print }' "$file" > "$dir.case"
    if (
        cd "$dir"
        set --
        while IFS= read -r arg; do set -- "$@" "$arg"; done < args
        "${HELM:-helm}" template "$@" > "$dir.out" 2> "$dir.err"
    ); then
        { cat "$dir.case"; echo "-- want --"; cat "$dir.out"; } > "$file"
    else
        { cat "$dir.case"; echo "-- error --"; grep -v '^level=' "$dir.err" | sed 's/^Error: //' | sed "s|$dir/||g"; } > "$file"
    fi
    rm -r "$dir" "$dir.case" "$dir.out" "$dir.err"
done
