// Command envsubst says what fluxcd/pkg/envsubst makes of texts, and what kustomize-controller
// makes of objects with it (whose few lines of glue are repeated here).
//
//	envsubst record DIR   writes NAME.recorded.json beside every NAME.cases.json below DIR
//	envsubst check DIR    compares instead, and exits 1 when one differs
//
// A file of cases is a list of {"text": ..., "vars": {...}, "strict": bool}, or with "object" in the
// place of "text". The record is the list of {"result": ...} or {"error": ...}.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fluxcd/pkg/envsubst"
	"sigs.k8s.io/yaml"
)

type input struct {
	Text   *string           `json:"text"`
	Object json.RawMessage   `json:"object"`
	Vars   map[string]string `json:"vars"`
	Strict bool              `json:"strict"`
}

type output struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

func (in input) lookup(name string) (string, bool) {
	value, ok := in.Vars[name]
	return value, ok || !in.Strict
}

func (in input) examine() (out output) {
	defer func() {
		if r := recover(); r != nil {
			out = output{Error: fmt.Sprintf("panic: %v", r)}
		}
	}()
	if in.Text != nil {
		text, err := envsubst.Eval(*in.Text, in.lookup)
		if err != nil {
			return output{Error: err.Error()}
		}
		data, err := json.Marshal(text)
		if err != nil {
			return output{Error: err.Error()}
		}
		return output{Result: data}
	}
	text, err := yaml.JSONToYAML(in.Object)
	if err != nil {
		return output{Error: err.Error()}
	}
	substituted, err := envsubst.Eval(string(text), in.lookup)
	if err != nil {
		return output{Error: fmt.Sprintf("envsubst error: variable substitution failed: %s", err)}
	}
	data, err := yaml.YAMLToJSON([]byte(substituted))
	if err != nil {
		return output{Error: fmt.Sprintf("envsubst error: YAMLToJSON: %s", err)}
	}
	var object map[string]interface{}
	if err := json.Unmarshal(data, &object); err != nil {
		return output{Error: fmt.Sprintf("UnmarshalJSON: %s", err)}
	}
	return output{Result: data}
}

func run(dir string, check bool) (bad int, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".cases.json") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var inputs []input
		if err := json.Unmarshal(data, &inputs); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		outputs := make([]output, len(inputs))
		for i, in := range inputs {
			outputs[i] = in.examine()
		}
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(outputs); err != nil {
			return err
		}
		record := strings.TrimSuffix(path, ".cases.json") + ".recorded.json"
		if !check {
			return os.WriteFile(record, out.Bytes(), 0o644)
		}
		if old, err := os.ReadFile(record); err != nil || !bytes.Equal(old, out.Bytes()) {
			bad++
			fmt.Println("differs:", record)
		}
		return nil
	})
	return bad, err
}

func main() {
	if len(os.Args) != 3 || (os.Args[1] != "record" && os.Args[1] != "check") {
		fmt.Fprintln(os.Stderr, errors.New("usage: envsubst record DIR | check DIR"))
		os.Exit(2)
	}
	bad, err := run(os.Args[2], os.Args[1] == "check")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if bad > 0 {
		os.Exit(1)
	}
}
