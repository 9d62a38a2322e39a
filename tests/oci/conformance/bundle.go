// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-tools/generate"
	"github.com/opencontainers/runtime-tools/validate"
)

// Container is a bundle and what firn makes of it.
type Container struct {
	t      *T
	id     string
	bundle string
	root   string
	spec   *generate.Generator
}

// newContainer has a root of busybox alone, and runs sh -c SCRIPT.
func newContainer(t *T, id, script string) *Container {
	spec, err := generate.New("linux")
	t.fatal(err)
	c := &Container{t: t, id: id, bundle: filepath.Join(t.dir, id), root: filepath.Join(t.dir, "state"), spec: &spec}
	rootfs := filepath.Join(c.bundle, "rootfs")
	for _, name := range []string{"bin", "dev", "proc", "sys", "tmp"} {
		t.fatal(os.MkdirAll(filepath.Join(rootfs, name), 0755))
	}
	program, err := os.ReadFile("/bin/busybox")
	t.fatal(err)
	t.fatal(os.WriteFile(filepath.Join(rootfs, "bin/busybox"), program, 0755))
	_, err = exec.Command("chroot", rootfs, "/bin/busybox", "--install", "-s", "/bin").Output()
	t.fatal(err)
	spec.SetProcessArgs([]string{"sh", "-c", script})
	t.cleanup(func() { c.firn("delete", "--force", id) })
	return c
}

// firn answers with what it printed, both streams, and an error if it failed.
func (c *Container) firn(args ...string) (string, error) {
	cmd := exec.Command(os.Getenv("FIRN"), append([]string{"--root", c.root}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%v: %v: %s", args, err, out)
	}
	return string(out), err
}

// check wants to be told by the validator what it thinks of the bundle.
func (c *Container) check() error {
	v, err := validate.NewValidator(c.spec.Config, c.bundle, true, "linux")
	if err != nil {
		return err
	}
	return judge(&v)
}

// judge leaves out the schema, which would be fetched, and the version, of which it knows but one.
func judge(v *validate.Validator) error {
	for _, check := range []func() error{
		v.CheckPlatform, v.CheckRoot, v.CheckMandatoryFields, v.CheckMounts, v.CheckProcess, v.CheckLinux,
		v.CheckAnnotations, v.CheckHooks,
	} {
		err := check()
		// an empty list of errors is not nil here
		if list, ok := err.(interface{ ErrorOrNil() error }); ok {
			err = list.ErrorOrNil()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Container) save() {
	c.t.fatal(c.spec.SaveToFile(filepath.Join(c.bundle, "config.json"), generate.ExportOptions{}))
}

// create makes the container with its output going to a file, as an engine would.
func (c *Container) create() error {
	c.save()
	log, err := os.Create(filepath.Join(c.bundle, "log"))
	c.t.fatal(err)
	defer log.Close()
	cmd := exec.Command(os.Getenv("FIRN"), "--root", c.root, "create", "--bundle", c.bundle, c.id)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("create: %v: %s", err, c.log())
	}
	return nil
}

func (c *Container) log() string {
	text, err := os.ReadFile(filepath.Join(c.bundle, "log"))
	c.t.fatal(err)
	return string(text)
}

// output of the whole life of a valid container.
func (c *Container) output() string {
	c.t.fatal(c.check())
	c.t.fatal(c.create())
	_, err := c.firn("start", c.id)
	c.t.fatal(err)
	c.wait(rspec.StateStopped)
	_, err = c.firn("delete", c.id)
	c.t.fatal(err)
	return c.log()
}

var version = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// readState wants everything of a state that the specification demands.
func (c *Container) readState(text string) rspec.State {
	var state rspec.State
	members := map[string]interface{}{}

	c.t.fatal(json.Unmarshal([]byte(text), &members))
	c.t.fatal(json.Unmarshal([]byte(text), &state))
	for _, name := range []string{"ociVersion", "id", "status", "bundle"} {
		if _, there := members[name]; !there {
			c.t.errorf("the state has no %s", name)
		}
	}
	if !version.MatchString(state.Version) {
		c.t.errorf("the state's version is %q", state.Version)
	}
	c.t.equal("the state's id", state.ID, c.id)
	c.t.equal("the state's bundle", state.Bundle, c.bundle)
	for key, value := range c.spec.Config.Annotations {
		c.t.equal("annotation "+key, state.Annotations[key], value)
	}
	if (state.Status == rspec.StateCreated || state.Status == rspec.StateRunning) && state.Pid <= 1 {
		c.t.errorf("the pid of a container that is %s is %d", state.Status, state.Pid)
	}
	return state
}

func (c *Container) state() rspec.State {
	text, err := c.firn("state", c.id)
	c.t.fatal(err)
	return c.readState(text)
}

func (c *Container) wait(status rspec.ContainerState) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if c.state().Status == status {
			return
		}
	}
	c.t.fatal(fmt.Errorf("the container is not %s", status))
}
