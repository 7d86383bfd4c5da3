// Command gotmpl records what Go's text/template makes of the cases in a file.
//
// A file holds data and cases; the recorder fills each case's "out" or "err" in place. Data is
// JSON with numbers as float64, except {"$int": n}, {"$int64": n}, {"$uint": n}, {"$strs": [...]},
// {"$ints": [...]}, {"$bytes": "..."} and {"$strmap": {...}}, which stand for Go's types of those names.
//
//	go run . FILE...
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/template"
)

type testCase struct {
	Template string            `json:"template"`
	Also     map[string]string `json:"also,omitempty"`
	Out      *string           `json:"out,omitempty"`
	Err      *string           `json:"err,omitempty"`
}

type testFile struct {
	Data    json.RawMessage `json:"data"`
	Missing string          `json:"missingkey,omitempty"`
	Cases   []*testCase     `json:"cases"`
}

func decode(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = decode(v[i])
		}
		return v
	case map[string]any:
		if len(v) == 1 {
			for key, arg := range v {
				switch key {
				case "$int":
					return int(arg.(float64))
				case "$int64":
					return int64(arg.(float64))
				case "$uint":
					return uint(arg.(float64))
				case "$bytes":
					return []byte(arg.(string))
				case "$strs":
					out := []string{}
					for _, s := range arg.([]any) {
						out = append(out, s.(string))
					}
					return out
				case "$ints":
					out := []int{}
					for _, s := range arg.([]any) {
						out = append(out, int(s.(float64)))
					}
					return out
				case "$strmap":
					out := map[string]string{}
					for k, s := range arg.(map[string]any) {
						out[k] = s.(string)
					}
					return out
				}
			}
		}
		for k := range v {
			v[k] = decode(v[k])
		}
		return v
	}
	return v
}

var funcs = template.FuncMap{
	"add": func(args ...int) int {
		sum := 0
		for _, x := range args {
			sum += x
		}
		return sum
	},
	"echo":     func(arg any) any { return arg },
	"typeOf":   func(arg any) string { return fmt.Sprintf("%T", arg) },
	"zeroArgs": func() string { return "zeroArgs" },
	"oneArg":   func(a string) string { return "oneArg=" + a },
	"twoArgs":  func(a, b string) string { return "twoArgs=" + a + b },
	"die":      func() (bool, error) { return false, errors.New("die") },
	"floats":   func(f float64) float64 { return f },
	"int64s":   func(n int64) int64 { return n },
	"uints":    func(n uint) uint { return n },
	"bools":    func(b bool) bool { return b },
	"keyed":    func(m map[string]any, k string) any { return m[k] },
	"lists":    func(l []any) int { return len(l) },
	"dict": func(args ...any) map[string]any {
		out := map[string]any{}
		for i := 0; i+1 < len(args); i += 2 {
			out[fmt.Sprint(args[i])] = args[i+1]
		}
		return out
	},
	"list": func(args ...any) []any { return args },
	"makemap": func(args ...string) map[string]string {
		out := map[string]string{}
		for i := 0; i+1 < len(args); i += 2 {
			out[args[i]] = args[i+1]
		}
		return out
	},
	"adder": func(n int) func(int) int { return func(m int) int { return n + m } },
}

func run(f *testFile, c *testCase) {
	c.Out, c.Err = nil, nil
	fail := func(err error) {
		text := err.Error()
		c.Err = &text
	}
	var data any
	if len(f.Data) > 0 {
		if err := json.Unmarshal(f.Data, &data); err != nil {
			panic(err)
		}
		data = decode(data)
	}
	t := template.New("main").Funcs(funcs)
	if f.Missing != "" {
		t.Option("missingkey=" + f.Missing)
	}
	for name, text := range c.Also {
		if _, err := t.New(name).Parse(text); err != nil {
			fail(err)
			return
		}
	}
	if _, err := t.Parse(c.Template); err != nil {
		fail(err)
		return
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		fail(err)
		return
	}
	text := out.String()
	c.Out = &text
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
			run(&file, c)
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
