// SPDX-License-Identifier: GPL-2.0-only

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-tools/cgroups"
	"github.com/opencontainers/runtime-tools/generate/seccomp"
	"github.com/opencontainers/runtime-tools/validate"
)

var cases = []struct {
	name string
	run  func(*T)
}{
	{"what spec writes is valid", specIsValid},
	{"states through the life of a container", lifeOfAContainer},
	{"operations that a state does not allow, and that change nothing", wrongOperations},
	{"hooks run in their order and read states", hooks},
	{"user, groups, umask, directory and environment", identity},
	{"capabilities, limits, OOM score and no_new_privs", privileges},
	{"mounts, devices, masked and read-only paths", files},
	{"namespaces, hostname and sysctls", namespaces},
	{"seccomp rules", systemCalls},
	{"cgroup limits by an absolute path", func(t *T) { limits(t, "/firn-oci") }},
	{"cgroup limits by a relative path", func(t *T) { limits(t, "firn-oci") }},
	{"what the specification has refused", refused},
}

func specIsValid(t *T) {
	for _, option := range []string{"", "--rootless"} {
		c := newContainer(t, "spec"+option, "")
		args := []string{"spec", "--bundle", c.bundle}
		if option != "" {
			args = append(args, option)
		}
		_, err := c.firn(args...)
		t.fatal(err)
		// not of this host: there a bind, of which the type says nothing, would need a file system
		v, err := validate.NewValidatorFromPath(c.bundle, false, "linux")
		t.fatal(err)
		if err := judge(&v); err != nil {
			t.errorf("spec %s: %v", option, err)
		}
	}
}

func lifeOfAContainer(t *T) {
	c := newContainer(t, "life", "echo ran; exec sleep 1000")
	c.spec.AddAnnotation("org.example.key", "value")
	t.fatal(c.check())
	t.fatal(c.create())
	created := c.state()
	t.equal("status", string(created.Status), string(rspec.StateCreated))
	t.equal("output before start", c.log(), "")
	// the configuration has been read: what becomes of it means nothing to this container
	t.fatal(os.Remove(filepath.Join(c.bundle, "config.json")))
	_, err := c.firn("start", c.id)
	t.fatal(err)
	running := c.state()
	t.equal("status", string(running.Status), string(rspec.StateRunning))
	if running.Pid != created.Pid {
		t.errorf("the pid was %d and is %d", created.Pid, running.Pid)
	}
	_, err = c.firn("kill", c.id, "KILL")
	t.fatal(err)
	c.wait(rspec.StateStopped)
	t.equal("output", c.log(), "ran\n")
	_, err = c.firn("delete", c.id)
	t.fatal(err)
	if _, err := c.firn("state", c.id); err == nil {
		t.errorf("a deleted container has a state")
	}
}

func wrongOperations(t *T) {
	c := newContainer(t, "wrong", "exec sleep 1000")
	mustFail := func(args ...string) {
		if _, err := c.firn(args...); err == nil {
			t.errorf("%v succeeded", args)
		}
	}
	for _, verb := range []string{"state", "start", "kill", "delete"} {
		mustFail(verb, "missing")
		mustFail(verb)
	}
	t.fatal(c.create())
	if err := c.create(); err == nil {
		t.errorf("a second container has the same id")
	}
	_, err := c.firn("start", c.id)
	t.fatal(err)
	mustFail("start", c.id)
	mustFail("delete", c.id)
	t.equal("status", string(c.state().Status), string(rspec.StateRunning))
	_, err = c.firn("kill", c.id, "KILL")
	t.fatal(err)
	c.wait(rspec.StateStopped)
	mustFail("start", c.id)
	mustFail("kill", c.id, "KILL")
	t.equal("status", string(c.state().Status), string(rspec.StateStopped))
}

func hooks(t *T) {
	c := newContainer(t, "hooks", "true")
	log := filepath.Join(t.dir, "hooks.log")
	hook := func(name string) rspec.Hook {
		state := filepath.Join(t.dir, name)
		return rspec.Hook{Path: "/bin/sh", Args: []string{"sh", "-c",
			fmt.Sprintf("cat >%s; echo $WHO >>%s", state, log)}, Env: []string{"PATH=/bin:/usr/bin", "WHO=" + name}}
	}
	for _, n := range []string{"1", "2"} {
		c.spec.AddPreStartHook(hook("prestart" + n))
		c.spec.AddPostStartHook(hook("poststart" + n))
		c.spec.AddPostStopHook(hook("poststop" + n))
	}
	c.output()
	order, err := os.ReadFile(log)
	t.fatal(err)
	t.equal("the order", strings.Join(strings.Fields(string(order)), " "),
		"prestart1 prestart2 poststart1 poststart2 poststop1 poststop2")
	for _, name := range []string{"prestart1", "poststart2", "poststop1"} {
		text, err := os.ReadFile(filepath.Join(t.dir, name))
		t.fatal(err)
		c.readState(string(text))
	}
}

func identity(t *T) {
	c := newContainer(t, "identity", "id -u; id -g; id -G; umask; pwd; echo $FLAVOUR")
	c.spec.SetProcessUID(1000)
	c.spec.SetProcessGID(1001)
	c.spec.AddProcessAdditionalGid(2000)
	c.spec.SetProcessUmask(027)
	c.spec.SetProcessCwd("/tmp")
	c.spec.AddProcessEnv("FLAVOUR", "tea")
	t.equal("the process", c.output(), "1000\n1001\n1001 2000\n0027\n/tmp\ntea\n")
}

// fields of a file of the form "NAME: VALUE".
func fields(text string) map[string]string {
	values := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		if at := strings.Index(line, ":"); at > 0 {
			values[line[:at]] = strings.TrimSpace(line[at+1:])
		}
	}
	return values
}

func privileges(t *T) {
	c := newContainer(t, "privileges", "cat /proc/self/status /proc/self/oom_score_adj; grep 'open files' /proc/self/limits")
	c.spec.SetupPrivileged(false)
	c.spec.ClearProcessCapabilities()
	t.fatal(c.spec.AddProcessCapabilityBounding("CAP_KILL"))
	t.fatal(c.spec.AddProcessCapabilityBounding("CAP_CHOWN"))
	t.fatal(c.spec.AddProcessCapabilityPermitted("CAP_KILL"))
	t.fatal(c.spec.AddProcessCapabilityEffective("CAP_KILL"))
	c.spec.SetProcessUID(1000)
	c.spec.SetProcessNoNewPrivileges(true)
	c.spec.SetProcessOOMScoreAdj(900)
	c.spec.ClearProcessRlimits()
	c.spec.AddProcessRlimits("RLIMIT_NOFILE", 900, 700)
	text := c.output()
	status := fields(text)
	t.equal("CapBnd", status["CapBnd"], "0000000000000021")
	t.equal("CapEff of a user without ambient capabilities", status["CapEff"], "0000000000000000")
	t.equal("NoNewPrivs", status["NoNewPrivs"], "1")
	if !strings.Contains(text, "\n900\n") {
		t.errorf("the OOM score is not 900")
	}
	if f := strings.Fields(text[strings.Index(text, "Max open files"):]); f[3] != "700" || f[4] != "900" {
		t.errorf("the limits of open files are %s and %s", f[3], f[4])
	}
}

func files(t *T) {
	c := newContainer(t, "files", "cat /proc/self/mountinfo; ls -l /dev/extra; cat /tmp/masked; "+
		"touch /bin/new; touch /tmp/protected/new; touch /scratch/new; echo end")
	rootfs := filepath.Join(c.bundle, "rootfs")
	t.fatal(os.Mkdir(filepath.Join(rootfs, "tmp/protected"), 0777))
	t.fatal(os.WriteFile(filepath.Join(rootfs, "tmp/masked"), []byte("secret"), 0644))
	mode := os.FileMode(0640)
	c.spec.AddDevice(rspec.LinuxDevice{Path: "/dev/extra", Type: "c", Major: 1, Minor: 5, FileMode: &mode})
	c.spec.AddMount(rspec.Mount{Destination: "/scratch", Type: "tmpfs", Source: "tmpfs",
		Options: []string{"nosuid", "nodev", "noexec", "size=64k"}})
	c.spec.SetRootReadonly(true)
	t.fatal(os.Mkdir(filepath.Join(rootfs, "scratch"), 0755))
	c.spec.AddLinuxMaskedPaths("/tmp/masked")
	c.spec.AddLinuxReadonlyPaths("/tmp/protected")
	text := c.output()
	for _, wanted := range []string{
		" /scratch rw,nosuid,nodev,noexec", "1,   5", "crw-r-----",
		"/bin/new: Read-only", "/tmp/protected/new: Read-only", "end",
	} {
		if !strings.Contains(text, wanted) {
			t.errorf("no %q in:\n%s", wanted, text)
		}
	}
	for _, unwanted := range []string{"secret", "/scratch/new"} {
		if strings.Contains(text, unwanted) {
			t.errorf("%q in:\n%s", unwanted, text)
		}
	}
}

func namespaces(t *T) {
	kinds := map[string]string{"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt"}
	c := newContainer(t, "namespaces", "for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done; hostname; cat /proc/sys/net/ipv4/ip_forward")
	c.spec.ClearLinuxNamespaces()
	for kind := range kinds {
		t.fatal(c.spec.AddOrReplaceLinuxNamespace(kind, ""))
	}
	// one is joined: this program's own
	t.fatal(c.spec.AddOrReplaceLinuxNamespace("ipc", fmt.Sprintf("/proc/%d/ns/ipc", os.Getpid())))
	c.spec.SetHostname("teapot")
	c.spec.AddLinuxSysctl("net.ipv4.ip_forward", "1")
	lines := strings.Split(c.output(), "\n")
	for i, name := range []string{"pid", "net", "ipc", "uts", "mnt"} {
		own, err := os.Readlink("/proc/self/ns/" + name)
		t.fatal(err)
		if (lines[i] == own) != (name == "ipc") {
			t.errorf("the %s namespace is %s, ours is %s", name, lines[i], own)
		}
	}
	t.equal("hostname", lines[5], "teapot")
	t.equal("sysctl", lines[6], "1")
}

func systemCalls(t *T) {
	c := newContainer(t, "seccomp", "mkdir /tmp/new || echo refused; rmdir /tmp; echo end")
	t.fatal(c.spec.SetDefaultSeccompAction("allow"))
	t.fatal(c.spec.SetSyscallAction(seccomp.SyscallOpts{Action: "errno", Syscall: "mkdir"}))
	text := c.output()
	if !strings.Contains(text, "refused") || !strings.Contains(text, "end") {
		t.errorf("the program printed:\n%s", text)
	}
}

func limits(t *T, path string) {
	cg, err := cgroups.FindCgroup()
	if err != nil {
		t.skip(err.Error())
	}
	path = fmt.Sprintf("%s-%d/limits", path, os.Getpid())
	// after the container's own end, which is asked for later
	t.cleanup(func() {
		dirs, _ := filepath.Glob("/sys/fs/cgroup/*/" + filepath.Dir(path))
		for _, dir := range dirs {
			os.Remove(dir)
		}
	})
	c := newContainer(t, "limits", "exec sleep 1000")
	c.spec.SetLinuxCgroupsPath(path)
	c.spec.SetLinuxResourcesMemoryLimit(50 << 20)
	c.spec.SetLinuxResourcesMemoryReservation(40 << 20)
	c.spec.SetLinuxResourcesCPUShares(1024)
	c.spec.SetLinuxResourcesCPUQuota(100000)
	c.spec.SetLinuxResourcesCPUPeriod(50000)
	c.spec.SetLinuxResourcesCPUCpus("0")
	c.spec.SetLinuxResourcesPidsLimit(77)
	major, minor := int64(10), int64(229)
	c.spec.AddLinuxResourcesDevice(true, "c", &major, &minor, "rw")
	t.fatal(c.check())
	t.fatal(c.create())
	pid := c.state().Pid
	memory, err := cg.GetMemoryData(pid, path)
	t.fatal(err)
	cpu, err := cg.GetCPUData(pid, path)
	t.fatal(err)
	pids, err := cg.GetPidsData(pid, path)
	t.fatal(err)
	devices, err := cg.GetDevicesData(pid, path)
	t.fatal(err)
	t.equal("limits", fmt.Sprintln(*memory.Limit, *memory.Reservation, *cpu.Shares, *cpu.Quota, *cpu.Period, cpu.Cpus, pids.Limit),
		fmt.Sprintln(50<<20, 40<<20, 1024, 100000, 50000, "0", 77))
	found := false
	for _, d := range devices {
		found = found || (d.Type == "c" && d.Major != nil && *d.Major == major && d.Minor != nil &&
			*d.Minor == minor && strings.Contains(d.Access, "rw"))
	}
	if !found {
		t.errorf("the device rule is not there")
	}
}

// refused: configurations for which the specification demands an error, by what is wrong.
func refused(t *T) {
	wrong := map[string]func(*Container){
		"a version that is none":       func(c *Container) { c.spec.SetVersion("one") },
		"a limit of an unknown kind":   func(c *Container) { c.spec.AddProcessRlimits("RLIMIT_TEA", 1, 1) },
		"a relative working directory": func(c *Container) { c.spec.SetProcessCwd("tmp") },
		"no arguments":                 func(c *Container) { c.spec.SetProcessArgs(nil) },
		"a relative path of a hook":    func(c *Container) { c.spec.AddPreStartHook(rspec.Hook{Path: "bin/true"}) },
		"a limit that is given twice": func(c *Container) {
			limit := rspec.POSIXRlimit{Type: "RLIMIT_CORE", Hard: 1, Soft: 1}
			c.spec.Config.Process.Rlimits = []rspec.POSIXRlimit{limit, limit}
		},
		"a namespace that is given twice": func(c *Container) {
			ns := &c.spec.Config.Linux.Namespaces
			*ns = append(*ns, rspec.LinuxNamespace{Type: "pid"}, rspec.LinuxNamespace{Type: "pid"})
		},
		"a namespace of another kind": func(c *Container) {
			t.fatal(c.spec.AddOrReplaceLinuxNamespace("network", "/proc/self/ns/uts"))
		},
		"a root file system that is not there": func(c *Container) { c.spec.SetRootPath("nowhere") },
		"a device of an unknown kind": func(c *Container) {
			c.spec.AddDevice(rspec.LinuxDevice{Path: "/dev/extra", Type: "z", Major: 1, Minor: 5})
		},
		"a program that is not there": func(c *Container) { c.spec.SetProcessArgs([]string{"/bin/tea"}) },
	}
	names := make([]string, 0, len(wrong))
	for name := range wrong {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		c := newContainer(t, fmt.Sprintf("refused%d", i), "true")
		wrong[name](c)
		c.save()
		out, err := c.firn("create", "--bundle", c.bundle, c.id)
		if err == nil {
			t.errorf("%s: created", name)
		} else if strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "firn: create") {
			t.errorf("%s: not one line: %s", name, out)
		}
		if _, err := c.firn("state", c.id); err == nil {
			t.errorf("%s: left a container", name)
		}
	}
}
