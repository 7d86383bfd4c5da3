module oracle

go 1.26.0

require (
	github.com/google/go-containerregistry v0.21.6
	github.com/opencontainers/go-digest v1.0.0 // indirect
)
