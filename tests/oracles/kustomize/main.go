// Command kustomize-oracle builds many small trees in one process, as `kustomize build` does without
// flags: each line of the input is a JSON object with the files by path and the directory to build, each
// line of the output one with the YAML or the error.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

type question struct {
	Files map[string]string `json:"files"`
	Path  string            `json:"path"`
}

type answer struct {
	YAML  *string `json:"yaml,omitempty"`
	Error *string `json:"error,omitempty"`
}

func build(q question) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	fs := filesys.MakeFsInMemory()
	for name, content := range q.Files {
		if err := fs.MkdirAll(path.Dir(name)); err != nil {
			return "", err
		}
		if err := fs.WriteFile(name, []byte(content)); err != nil {
			return "", err
		}
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified
	objects, err := krusty.MakeKustomizer(options).Run(fs, q.Path)
	if err != nil {
		return "", err
	}
	yaml, err := objects.AsYaml()
	return string(yaml), err
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	decoder := json.NewDecoder(in)
	for decoder.More() {
		var q question
		if err := decoder.Decode(&q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		var a answer
		if text, err := build(q); err != nil {
			message := err.Error()
			a.Error = &message
		} else {
			a.YAML = &text
		}
		if err := out.Encode(a); err != nil {
			os.Exit(1)
		}
	}
}
