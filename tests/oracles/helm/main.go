// Command helm records what Helm's engine makes of the template snippets in a file.
//
// A file holds values (YAML) and cases; the recorder fills each case's "out" or "err" in place. Every
// snippet is the file templates/t.yaml of a chart named c, beside "also" (other templates) and
// "files".
//
//	go run . FILE...
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
)

type testCase struct {
	Template string  `json:"template"`
	Out      *string `json:"out,omitempty"`
	Err      *string `json:"err,omitempty"`
}

type testFile struct {
	Values string            `json:"values"`
	Also   map[string]string `json:"also,omitempty"`
	Files  map[string]string `json:"files,omitempty"`
	Cases  []*testCase       `json:"cases"`
}

func render(f *testFile, c *testCase) (string, error) {
	files := []*archive.BufferedFile{
		{Name: "Chart.yaml", Data: []byte("apiVersion: v2\nname: c\nversion: 1.2.3\nappVersion: \"4.5\"\n")},
		{Name: "templates/t.yaml", Data: []byte(c.Template)},
	}
	for name, text := range f.Also {
		files = append(files, &archive.BufferedFile{Name: "templates/" + name, Data: []byte(text)})
	}
	for name, text := range f.Files {
		files = append(files, &archive.BufferedFile{Name: name, Data: []byte(text)})
	}
	chart, err := loader.LoadFiles(files)
	if err != nil {
		return "", err
	}
	values, err := loader.LoadValues(strings.NewReader(f.Values))
	if err != nil {
		return "", err
	}
	if err := chartutil.ProcessDependencies(chart, values); err != nil {
		return "", err
	}
	options := common.ReleaseOptions{Name: "rel", Namespace: "ns", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, values, options, nil)
	if err != nil {
		return "", err
	}
	rendered, err := engine.Render(chart, all)
	if err != nil {
		return "", err
	}
	return rendered["c/templates/t.yaml"], nil
}

func main() {
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		var file testFile
		if err := json.Unmarshal(text, &file); err != nil {
			panic(fmt.Errorf("%s: %w", path, err))
		}
		for _, c := range file.Cases {
			c.Out, c.Err = nil, nil
			out, err := render(&file, c)
			if err != nil {
				text := err.Error()
				c.Err = &text
			} else {
				c.Out = &out
			}
		}
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		if err := enc.Encode(file); err != nil {
			panic(err)
		}
		if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
			panic(err)
		}
	}
}
