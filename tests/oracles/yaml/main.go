// Command yaml says what go-yaml v2, go-yaml v3 and sigs.k8s.io/yaml make of texts.
//
//	yaml record DIR   writes NAME.json beside every NAME.yaml below DIR
//	yaml check DIR    compares instead, and exits 1 when one differs
//	yaml lines        reads base64 texts, a line each, and writes a JSON object for each
//
// The versions are those that kustomize 5.8.2 pins; helm 4.2.1 pins go.yaml.in/yaml/v2 v2.4.3 and
// go.yaml.in/yaml/v3 v3.0.4, which differ from them in comments and tests only.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	yaml3 "go.yaml.in/yaml/v3"
	sigs "sigs.k8s.io/yaml"
)

// Result is all that is recorded of one text. A field of an operation that failed is absent, and
// its error stands in the field beside it.
type Result struct {
	// Every node of every document, one a line.
	Nodes      string `json:"nodes,omitempty"`
	NodesError string `json:"nodesError,omitempty"`
	// What v3 decodes each document to, as JSON or as `error: ...`.
	Decoded []string `json:"decoded,omitempty"`
	// The documents written again with indent 2, sequences compact and wide, and with indent 4.
	Compact string `json:"compact,omitempty"`
	Wide    string `json:"wide,omitempty"`
	Four    string `json:"four,omitempty"`
	// sigs.k8s.io/yaml's YAMLToJSON, YAMLToJSONStrict, and JSONToYAML of the former.
	JSON        string `json:"json,omitempty"`
	JSONError   string `json:"jsonError,omitempty"`
	StrictError string `json:"strictError,omitempty"`
	YAML        string `json:"yaml,omitempty"`
	YAMLError   string `json:"yamlError,omitempty"`
	// sigs.k8s.io/yaml's Marshal and v3's Encode with indent 2 of the JSON's value with all
	// numbers float64.
	Marshal      string `json:"marshal,omitempty"`
	MarshalError string `json:"marshalError,omitempty"`
	Pretty       string `json:"pretty,omitempty"`
	PrettyError  string `json:"prettyError,omitempty"`
}

func guard(run func() (string, error)) (out, problem string) {
	defer func() {
		if r := recover(); r != nil {
			out, problem = "", fmt.Sprintf("panic: %v", r)
		}
	}()
	out, err := run()
	if err != nil {
		return "", err.Error()
	}
	return out, ""
}

func examine(text []byte) Result {
	var result Result
	var documents []*yaml3.Node
	result.Nodes, result.NodesError = guard(func() (string, error) {
		decoder := yaml3.NewDecoder(bytes.NewReader(text))
		for {
			var node yaml3.Node
			err := decoder.Decode(&node)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return "", err
			}
			documents = append(documents, &node)
		}
		var out strings.Builder
		for _, node := range documents {
			describe(&out, node, 0)
		}
		return out.String(), nil
	})
	if result.NodesError == "" {
		for _, node := range documents {
			decoded, problem := guard(func() (string, error) {
				var value interface{}
				if err := node.Decode(&value); err != nil {
					return "", err
				}
				data, err := json.Marshal(value)
				return string(data), err
			})
			if problem != "" {
				decoded = "error: " + problem
			}
			result.Decoded = append(result.Decoded, decoded)
		}
		result.Compact = encode(documents, 2, true)
		result.Wide = encode(documents, 2, false)
		result.Four = encode(documents, 4, false)
	}
	result.JSON, result.JSONError = guard(func() (string, error) {
		data, err := sigs.YAMLToJSON(text)
		return string(data), err
	})
	_, result.StrictError = guard(func() (string, error) {
		data, err := sigs.YAMLToJSONStrict(text)
		return string(data), err
	})
	if result.JSONError == "" {
		result.YAML, result.YAMLError = guard(func() (string, error) {
			data, err := sigs.JSONToYAML([]byte(result.JSON))
			return string(data), err
		})
		var value interface{}
		if err := json.Unmarshal([]byte(result.JSON), &value); err == nil {
			result.Marshal, result.MarshalError = guard(func() (string, error) {
				data, err := sigs.Marshal(value)
				return string(data), err
			})
			result.Pretty, result.PrettyError = guard(func() (string, error) {
				var out bytes.Buffer
				encoder := yaml3.NewEncoder(&out)
				encoder.SetIndent(2)
				err := encoder.Encode(value)
				return out.String(), err
			})
		}
	}
	return result
}

func encode(documents []*yaml3.Node, indent int, compact bool) string {
	if len(documents) == 0 {
		return ""
	}
	out, problem := guard(func() (string, error) {
		var out bytes.Buffer
		encoder := yaml3.NewEncoder(&out)
		encoder.SetIndent(indent)
		if compact {
			encoder.CompactSeqIndent()
		}
		for _, node := range documents {
			if err := encoder.Encode(node); err != nil {
				return "", err
			}
		}
		return out.String(), encoder.Close()
	})
	if problem != "" {
		return "error: " + problem
	}
	return out
}

func describe(out *strings.Builder, node *yaml3.Node, depth int) {
	kind := map[yaml3.Kind]string{
		yaml3.DocumentNode: "document", yaml3.SequenceNode: "sequence",
		yaml3.MappingNode: "mapping", yaml3.ScalarNode: "scalar", yaml3.AliasNode: "alias",
	}[node.Kind]
	fmt.Fprintf(out, "%s%s %d:%d %s", strings.Repeat(" ", depth), kind, node.Line, node.Column, node.Tag)
	if node.Style != 0 {
		fmt.Fprintf(out, " style=%d", node.Style)
	}
	field := func(name, value string) {
		if value != "" {
			data, _ := json.Marshal(value)
			fmt.Fprintf(out, " %s=%s", name, data)
		}
	}
	field("value", node.Value)
	field("anchor", node.Anchor)
	field("head", node.HeadComment)
	field("line", node.LineComment)
	field("foot", node.FootComment)
	out.WriteByte('\n')
	for _, child := range node.Content {
		describe(out, child, depth+1)
	}
}

func lines() error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for in.Scan() {
		text, err := base64.StdEncoding.DecodeString(in.Text())
		if err != nil {
			return err
		}
		if err := encoder.Encode(examine(text)); err != nil {
			return err
		}
	}
	return in.Err()
}

func cases(dir string, check bool) (bad int, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(examine(text)); err != nil {
			return err
		}
		record := strings.TrimSuffix(path, ".yaml") + ".json"
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
	var bad int
	var err error
	switch {
	case len(os.Args) == 3 && (os.Args[1] == "record" || os.Args[1] == "check"):
		bad, err = cases(os.Args[2], os.Args[1] == "check")
	case len(os.Args) == 2 && os.Args[1] == "lines":
		err = lines()
	default:
		err = errors.New("usage: yaml record DIR | check DIR | lines")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if bad > 0 {
		os.Exit(1)
	}
}
