// Command setters says what image-automation-controller's own setter makes of files.
//
// It reads one JSON object a line: {"file": base64, "policies": {"ns:name": {"name", "tag", "digest"}}}, and answers
// each with a line: {"file": base64 of the file afterwards, "changes": [{"old", "new", "setter"}], "problem": bool,
// "error": text}. It is put into the controller's module because the setter is internal to it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	reflectorv1 "github.com/fluxcd/image-reflector-controller/api/v1"

	"github.com/fluxcd/image-automation-controller/internal/update"
)

type request struct {
	Name     string                          `json:"name"`
	File     []byte                          `json:"file"`
	Policies map[string]reflectorv1.ImageRef `json:"policies"`
}

type change struct {
	Old       string `json:"old"`
	New       string `json:"new"`
	Setter    string `json:"setter"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type answer struct {
	File    []byte   `json:"file"`
	Changes []change `json:"changes"`
	Problem bool     `json:"problem"`
	Error   string   `json:"error"`
}

func run(line []byte) (result answer) {
	defer func() {
		if r := recover(); r != nil {
			result = answer{Error: fmt.Sprintf("panic: %v", r)}
		}
	}()
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{Error: err.Error()}
	}
	dir, err := os.MkdirTemp("", "setters")
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, asked.Name)
	if err := os.WriteFile(path, asked.File, 0o600); err != nil {
		return answer{Error: err.Error()}
	}
	var policies []reflectorv1.ImagePolicy
	for key, ref := range asked.Policies {
		namespace, name, _ := strings.Cut(key, ":")
		policies = append(policies, reflectorv1.ImagePolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Status:     reflectorv1.ImagePolicyStatus{LatestRef: &ref},
		})
	}
	reader := update.ScreeningLocalReader{Path: dir, Token: `"$imagepolicy"`}
	if _, err := reader.Read(); err != nil {
		return answer{Error: err.Error()}
	}
	result.Problem = len(reader.ProblemFiles) > 0
	made, err := update.UpdateWithSetters(logr.Discard(), dir, dir, policies)
	if err != nil {
		return answer{Error: err.Error()}
	}
	for _, objects := range made.FileChanges {
		for id, changes := range objects {
			for _, c := range changes {
				result.Changes = append(result.Changes,
					change{c.OldValue, c.NewValue, c.Setter, id.Kind, id.Name, id.Namespace})
			}
		}
	}
	if result.File, err = os.ReadFile(path); err != nil {
		result.Error = err.Error()
	}
	return result
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		if err := out.Encode(run(lines.Bytes())); err != nil {
			os.Exit(1)
		}
	}
}
