// Records how go-containerregistry reads repository names: `go run ./names > ../data/names.json`.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

var names = strings.Split(`ghcr.io/org/app|ghcr.io/app|docker.io/nginx|docker.io/library/nginx|index.docker.io/nginx|nginx|org/app|
org/app/sub|localhost/app|localhost:5000/app|localhost:5000/org/app|127.0.0.1:5000/app|10.0.0.1/app|10.0.0.1:5000/app|172.16.3.4/app|
172.32.0.1/app|192.168.1.1:80/app|8.8.8.8/app|[::1]:5000/app|reg.localhost/app|reg.localhost:5000/app|reg.local/app|reg.local:5000/app|
ghcr.io/Org/app|ghcr.io/org/app:tag|ghcr.io/org/app@sha256:00|ghcr.io/a|ghcr.io/|ghcr.io|a|aa||/|//|ghcr.io//aa|ghcr.io/aa/|ghcr.io/a a|
ghcr.io:443/aa|ghcr.io:/aa|GHCR.io/aa|u:p@ghcr.io/aa|u@ghcr.io/aa|gh_cr.io/aa|ghcr.io./aa|.io/aa|:5000/aa|a b.io/aa|ghcr.io?x/aa|ghcr.io#x/aa|
ghcr.io%2f/aa|[::1/aa|::1/aa|ghcr.io:port/aa|ghcr.io:99999/aa|ghcr.io/-_./aa|ghcr.io/aä/bb|xn--bcher-kva.example/aa|bücher.example/aa`, "|")

type result struct {
	Name       string `json:"name"`
	Error      string `json:"error,omitempty"`
	Registry   string `json:"registry,omitempty"`
	Repository string `json:"repository,omitempty"`
	Scheme     string `json:"scheme,omitempty"`
}

func main() {
	var out []result
	names = append(names, "ghcr.io/"+strings.Repeat("a", 255), "ghcr.io/"+strings.Repeat("a", 256))
	for _, text := range names {
		text = strings.ReplaceAll(text, "\n", "")
		repository, err := name.NewRepository(text)
		if err != nil {
			out = append(out, result{Name: text, Error: err.Error()})
			continue
		}
		out = append(out, result{text, "", repository.RegistryStr(), repository.RepositoryStr(), repository.Scheme()})
	}
	text, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(text))
}
