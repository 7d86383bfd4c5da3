// Records what Flux's own packages say of the cases of the health crate.
//
//	health CASES_FOLDER
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/runtime/cel"
	"github.com/fluxcd/pkg/runtime/statusreaders"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// object reads JSON as a client would: whole numbers become int64.
func object(raw json.RawMessage) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	check(u.UnmarshalJSON(raw))
	return u
}

func read(folder, name string, into any) {
	text, err := os.ReadFile(filepath.Join(folder, name))
	check(err)
	check(yaml.Unmarshal(text, into))
}

func write(folder, name string, value any) {
	text, err := json.MarshalIndent(value, "", "  ")
	check(err)
	check(os.WriteFile(filepath.Join(folder, name), append(text, '\n'), 0o644))
}

type verdict struct {
	State   string `json:"state"`
	Message string `json:"message"`
}

func main() {
	folder := os.Args[1]

	var cases []struct {
		Case   string          `json:"case"`
		Now    string          `json:"now"`
		Object json.RawMessage `json:"object"`
	}
	read(folder, "kstatus.yaml", &cases)
	verdicts := map[string]verdict{}
	for _, c := range cases {
		if c.Now != "" {
			continue // the package reads the real clock
		}
		u := object(c.Object)
		var result *status.Result
		var err error
		if u.GetKind() == "Job" {
			r := statusreaders.ComputeJobStatus(u)
			result = &r
		} else {
			result, err = status.Compute(u)
		}
		if err != nil {
			verdicts[c.Case] = verdict{State: "Unknown", Message: "error"}
			continue
		}
		verdicts[c.Case] = verdict{State: result.Status.String(), Message: result.Message}
	}
	write(folder, "kstatus.flux.json", verdicts)

	var set struct {
		Object      json.RawMessage `json:"object"`
		Expressions []string        `json:"expressions"`
	}
	read(folder, "cel.yaml", &set)
	u := object(set.Object)
	answers := map[string]string{}
	for _, text := range set.Expressions {
		expression, err := cel.NewExpression(text)
		if err != nil {
			answers[text] = "no expression"
			continue
		}
		answer, err := expression.EvaluateBoolean(context.Background(), u.Object)
		if err != nil {
			answers[text] = err.Error()
			continue
		}
		answers[text] = fmt.Sprint(answer)
	}
	write(folder, "cel.flux.json", answers)
}
