// Command source shows what Flux's own packages do with Git repositories, ignore rules and signatures.
//
//	source ignore  < cases.json    the cases with the paths that are excluded
//	source verify  < cases.json    the cases with the key that signed, or why none did
//	source clone   < request.json  the revision and the files of a clone, or why there is none
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fluxcd/pkg/git"
	"github.com/fluxcd/pkg/git/gogit"
	"github.com/fluxcd/pkg/git/repository"
	"github.com/fluxcd/pkg/git/signature"
	"github.com/fluxcd/pkg/sourceignore"
	"github.com/fluxcd/pkg/sourceignore/gitignore"
)

func main() {
	if len(os.Args) != 2 {
		fail("usage: source ignore|verify|clone")
	}
	switch os.Args[1] {
	case "ignore":
		each(func(c *ignoreCase) { c.run() })
	case "verify":
		each(func(c *verifyCase) { c.run() })
	case "clone":
		each(func(c *cloneCase) { c.run() })
	default:
		fail("unknown command " + os.Args[1])
	}
}

// each reads a list of cases, runs them and prints them.
func each[T any](run func(*T)) {
	var cases []*T
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		fail(err.Error())
	}
	for _, c := range cases {
		run(c)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	if err := out.Encode(cases); err != nil {
		fail(err.Error())
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(1)
}

type ignoreCase struct {
	Name string `json:"name"`
	// Directory to content of its .sourceignore.
	Files map[string]string `json:"files"`
	Spec  *string           `json:"spec"`
	// Directories end in a slash.
	Paths    []string `json:"paths"`
	Excluded []string `json:"excluded"`
}

// run does what source-controller's reconcileArtifact and its storage's SourceIgnoreFilter do.
func (c *ignoreCase) run() {
	dir, err := os.MkdirTemp("", "ignore")
	if err != nil {
		fail(err.Error())
	}
	defer os.RemoveAll(dir)
	for d, content := range c.Files {
		write(filepath.Join(dir, d, sourceignore.IgnoreFile), content)
	}
	domain := strings.Split(dir, "/")
	ps, err := sourceignore.LoadIgnorePatterns(dir, domain)
	if err != nil {
		fail(err.Error())
	}
	if c.Spec != nil {
		ps = append(ps, sourceignore.ReadPatterns(strings.NewReader(*c.Spec), domain)...)
	}
	var matcher gitignore.Matcher = sourceignore.NewDefaultMatcher(ps, domain)
	if len(ps) > 0 {
		matcher = sourceignore.NewMatcher(append(sourceignore.VCSPatterns(domain), ps...))
	}
	c.Excluded = []string{}
	for _, p := range c.Paths {
		full := strings.Split(filepath.Join(dir, p), "/")
		if matcher.Match(full, strings.HasSuffix(p, "/")) {
			c.Excluded = append(c.Excluded, p)
		}
	}
}

type verifyCase struct {
	Name      string   `json:"name"`
	Payload   string   `json:"payload"`
	Signature string   `json:"signature"`
	PGP       []string `json:"pgp"`
	SSH       []string `json:"ssh"`
	Key       string   `json:"key"`
	Error     string   `json:"error"`
}

func (c *verifyCase) run() {
	commit := git.Commit{Signature: c.Signature, Encoded: []byte(c.Payload)}
	var err error
	switch signature.GetSignatureType(c.Signature) {
	case "openpgp":
		c.Key, err = commit.VerifyPGP(c.PGP...)
	case "ssh":
		c.Key, err = commit.VerifySSH(c.SSH...)
	default:
		err = fmt.Errorf("unsupported signature type: %s", signature.GetSignatureType(c.Signature))
	}
	c.Error = ""
	if err != nil {
		c.Error = err.Error()
	}
}

type cloneCase struct {
	Name       string            `json:"name"`
	URL        string            `json:"url"`
	Secret     map[string]string `json:"secret"`
	Branch     string            `json:"branch"`
	Tag        string            `json:"tag"`
	SemVer     string            `json:"semver"`
	RefName    string            `json:"ref"`
	Commit     string            `json:"commit"`
	Last       string            `json:"last"`
	Sparse     []string          `json:"sparse"`
	Recurse    bool              `json:"recurse"`
	Revision   string            `json:"revision"`
	Absolute   string            `json:"absolute"`
	ReferredBy string            `json:"tagObject"`
	Signature  string            `json:"signature"`
	Payload    string            `json:"payload"`
	Concrete   bool              `json:"concrete"`
	Files      []string          `json:"files"`
	Error      string            `json:"error"`
}

func (c *cloneCase) run() {
	if err := c.clone(); err != nil {
		c.Error = err.Error()
	}
}

func (c *cloneCase) clone() error {
	dir, err := os.MkdirTemp("", "clone")
	if err != nil {
		fail(err.Error())
	}
	defer os.RemoveAll(dir)
	u, err := url.Parse(c.URL)
	if err != nil {
		return err
	}
	data := map[string][]byte{}
	for k, v := range c.Secret {
		data[k] = []byte(v)
	}
	auth, err := git.NewAuthOptions(*u, data)
	if err != nil {
		return fmt.Errorf("failed to configure authentication options: %w", err)
	}
	opts := []gogit.ClientOption{gogit.WithDiskStorage()}
	if auth.Transport == git.HTTP {
		opts = append(opts, gogit.WithInsecureCredentialsOverHTTP())
	}
	client, err := gogit.NewClient(dir, auth, opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	config := repository.CloneConfig{RecurseSubmodules: c.Recurse, ShallowClone: true, LastObservedCommit: c.Last}
	config.Branch, config.Commit, config.Tag, config.SemVer, config.RefName = c.Branch, c.Commit, c.Tag, c.SemVer, c.RefName
	config.SparseCheckoutDirectories = c.Sparse
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	commit, err := client.Clone(ctx, c.URL, config)
	if err != nil {
		return err
	}
	if commit == nil {
		return fmt.Errorf("git repository is empty")
	}
	c.Revision, c.Absolute = commit.String(), commit.AbsoluteReference()
	c.Concrete = git.IsConcreteCommit(*commit)
	c.Signature, c.Payload = commit.Signature, string(commit.Encoded)
	if commit.ReferencingTag != nil {
		c.ReferredBy = commit.ReferencingTag.String()
	}
	c.Files = []string{}
	return filepath.Walk(dir, func(p string, fi os.FileInfo, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if fi.IsDir() && rel == ".git" {
			return filepath.SkipDir
		}
		switch {
		case fi.IsDir():
			c.Files = append(c.Files, rel+"/")
		case fi.Mode().IsRegular():
			content, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			mark := ""
			if fi.Mode()&0o111 != 0 {
				mark = "*"
			}
			c.Files = append(c.Files, rel+mark+"="+string(content))
		}
		return nil
	})
}

func write(path, content string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		fail(err.Error())
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		fail(err.Error())
	}
}
