// SPDX-License-Identifier: GPL-2.0-only

// `make check-oci`: firn seen through the eyes of runtime-tools. Bundles are made by its generator
// and judged by its validator, states are read into the specification's own types, and limits are
// read back from the kernel by its cgroup package. Prints TAP, one line a case.
//
// FIRN is the command under test.
package main

import (
	"fmt"
	"os"
	"strings"
)

// T is one case: what goes wrong in it is collected, and does not end it.
type T struct {
	dir      string
	problems []string
	skipped  string
	undo     []func()
}

func (t *T) errorf(format string, args ...interface{}) {
	t.problems = append(t.problems, fmt.Sprintf(format, args...))
}

// fatal ends the case if there is an error.
func (t *T) fatal(err error) {
	if err != nil {
		t.errorf("%v", err)
		panic(t)
	}
}

func (t *T) skip(why string) {
	t.skipped = why
	panic(t)
}

func (t *T) equal(what, got, wanted string) {
	if got != wanted {
		t.errorf("%s is %q, wanted %q", what, got, wanted)
	}
}

// cleanup runs f at the end of the case, the last first.
func (t *T) cleanup(f func()) {
	t.undo = append(t.undo, f)
}

func (t *T) run(f func(*T)) {
	defer func() {
		for i := len(t.undo) - 1; i >= 0; i-- {
			t.undo[i]()
		}
		os.RemoveAll(t.dir)
		if r := recover(); r != nil && r != t {
			panic(r)
		}
	}()
	var err error
	t.dir, err = os.MkdirTemp("", "firn-oci-")
	t.fatal(err)
	f(t)
}

func main() {
	failed := false
	fmt.Printf("1..%d\n", len(cases))
	for i, c := range cases {
		t := &T{}
		t.run(c.run)
		switch {
		case len(t.problems) > 0:
			failed = true
			fmt.Printf("not ok %d %s\n# %s\n", i+1, c.name,
				strings.ReplaceAll(strings.Join(t.problems, "\n"), "\n", "\n# "))
		case t.skipped != "":
			fmt.Printf("ok %d %s # skip %s\n", i+1, c.name, t.skipped)
		default:
			fmt.Printf("ok %d %s\n", i+1, c.name)
		}
	}
	if failed {
		os.Exit(1)
	}
}
