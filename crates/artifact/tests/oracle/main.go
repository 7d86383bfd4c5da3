// Records what Go's archive/tar, given the headers Flux gives it (fluxcd/pkg artifact/storage: no owner, no time, three
// modes, no links), makes of a tree: `go run . flux.tar && gzip -9 -n flux.tar`.
//
// The tree is made here and, the same, by the Rust test (`tests/it/archive.rs`). The gzip layer is left out: it depends on
// the compressor.
package main

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	dir, err := os.MkdirTemp("", "tree")
	check(err)
	defer os.RemoveAll(dir)
	file := func(path string, mode os.FileMode, content string) {
		path = filepath.Join(dir, path)
		check(os.MkdirAll(filepath.Dir(path), 0o777))
		check(os.WriteFile(path, []byte(content), 0o600))
		check(os.Chmod(path, mode))
	}
	file("README.md", 0o644, "hello\n")
	file("a.b", 0o644, "after the directory a\n")
	file("a/x.yaml", 0o444, "x: 1\n")
	file("a/run.sh", 0o611, "#!/bin/sh\n")
	file("a-b/empty", 0o644, "")
	file("b/block", 0o755, strings.Repeat("b", 512))
	file("b/more", 0o600, strings.Repeat("m", 513))
	check(os.Mkdir(filepath.Join(dir, "hollow"), 0o700))
	check(os.Symlink("README.md", filepath.Join(dir, "link")))
	file(strings.Repeat("d", 60)+"/"+strings.Repeat("f", 90), 0o644, "split\n")
	file("long/"+strings.Repeat("n", 120), 0o644, "pax\n")
	file("long/"+strings.Repeat("deep/", 60)+"er/f", 0o755, "deeper\n")
	file("ü/ß.yaml", 0o644, "s: ß\n")
	file("\xff\xfe", 0o644, "not utf-8\n")

	out, err := os.Create(os.Args[1])
	check(err)
	writer := tar.NewWriter(out)
	check(filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		check(err)
		if !info.Mode().IsRegular() && !info.IsDir() {
			return nil
		}
		header, err := tar.FileInfoHeader(info, path)
		check(err)
		header.Name, err = filepath.Rel(dir, path)
		check(err)
		header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
		header.ModTime, header.AccessTime, header.ChangeTime = time.Time{}, time.Time{}, time.Time{}
		switch {
		case info.IsDir():
			header.Mode = 0o750
		case info.Mode()&0o111 != 0:
			header.Mode = 0o700
		default:
			header.Mode = 0o600
		}
		check(writer.WriteHeader(header))
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			check(err)
			_, err = writer.Write(content)
			check(err)
		}
		return nil
	}))
	check(writer.Close())
	check(out.Close())
}
