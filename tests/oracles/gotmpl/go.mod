module borax.dev/oracles/gotmpl

go 1.26
