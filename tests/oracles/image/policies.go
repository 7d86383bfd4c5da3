// Command policies says which tag image-reflector-controller's own policies choose.
//
// It reads one JSON object a line: {"policy": an ImagePolicyChoice, "filterTags": a TagFilter or absent, "tags": [...]},
// and answers each with a line: {"latest": tag, "error": text, "invalid": whether the controller would stall}. It is put
// into the controller's module because the policies are internal to it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	imagev1 "github.com/fluxcd/image-reflector-controller/api/v1"

	"github.com/fluxcd/image-reflector-controller/internal/policy"
)

type request struct {
	Policy     imagev1.ImagePolicyChoice `json:"policy"`
	FilterTags *imagev1.TagFilter        `json:"filterTags"`
	Tags       []string                  `json:"tags"`
}

type answer struct {
	Latest  string `json:"latest"`
	Error   string `json:"error"`
	Invalid bool   `json:"invalid"`
}

// The steps are those of applyPolicy in internal/controller/imagepolicy_controller.go.
func run(line []byte) (result answer) {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{Error: err.Error()}
	}
	policer, err := policy.PolicerFromSpec(asked.Policy)
	if err != nil {
		return answer{Error: fmt.Errorf("invalid policy: %w", err).Error(), Invalid: true}
	}
	original := func(tag string) string { return tag }
	if asked.FilterTags != nil {
		filter, err := policy.NewRegexFilter(asked.FilterTags.Pattern, asked.FilterTags.Extract)
		if err != nil {
			return answer{Error: fmt.Errorf("failed to filter tags: %w", err).Error(), Invalid: true}
		}
		filter.Apply(asked.Tags)
		asked.Tags = filter.Items()
		original = filter.GetOriginalTag
	}
	latest, err := policer.Latest(asked.Tags)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Latest: original(latest)}
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
