// Command flux-message records what image-automation-controller's commit message templates come to.
//
// A file holds an automation, changes, values and cases; each case's "out" or "err" is filled in place, by the same
// calls as in the controller's templateMsg.
//
//	flux-message FILE...
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/fluxcd/image-automation-controller/cmd/flux-message/source"
	"github.com/fluxcd/image-automation-controller/internal/update"
)

type testFile struct {
	Object struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"object"`
	Values  map[string]string `json:"values"`
	Changes []struct {
		File       string `json:"file"`
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Namespace  string `json:"namespace"`
		Name       string `json:"name"`
		Old        string `json:"old"`
		New        string `json:"new"`
		Setter     string `json:"setter"`
	} `json:"changes"`
	Cases []*struct {
		Template string  `json:"template"`
		Out      *string `json:"out,omitempty"`
		Err      *string `json:"err,omitempty"`
	} `json:"cases"`
}

func main() {
	for _, path := range os.Args[1:] {
		if err := record(path); err != nil {
			fmt.Fprintln(os.Stderr, path, err)
			os.Exit(1)
		}
	}
}

func record(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var file testFile
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	data := source.TemplateData{
		AutomationObject: types.NamespacedName{Namespace: file.Object.Namespace, Name: file.Object.Name},
		Values:           file.Values,
	}
	for _, c := range file.Changes {
		id := update.ObjectIdentifier{ResourceIdentifier: yaml.ResourceIdentifier{
			TypeMeta: yaml.TypeMeta{APIVersion: c.APIVersion, Kind: c.Kind},
			NameMeta: yaml.NameMeta{Name: c.Name, Namespace: c.Namespace},
		}}
		data.Changed.AddChange(c.File, id, update.Change{OldValue: c.Old, NewValue: c.New, Setter: c.Setter})
	}
	for _, c := range file.Cases {
		c.Out, c.Err = nil, nil
		out, err := run(c.Template, data)
		if err != nil {
			text := err.Error()
			c.Err = &text
			continue
		}
		c.Out = &out
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(file); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

func run(text string, data source.TemplateData) (string, error) {
	t, err := template.New("commit message").Funcs(sprig.HermeticTxtFuncMap()).Parse(text)
	if err != nil {
		return "", fmt.Errorf("unable to create commit message template from spec: %w", err)
	}
	b := &strings.Builder{}
	if err := t.Execute(b, data); err != nil {
		return "", fmt.Errorf("failed to run template from spec: %w", err)
	}
	return b.String(), nil
}
