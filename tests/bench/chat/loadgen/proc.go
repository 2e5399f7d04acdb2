package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// group is a set of processes measured together (a server and its children,
// redis, mongod, ...).
type group struct {
	name string
	pids []int
}

const tick = 10000 // microseconds per clock tick (USER_HZ = 100)

func readStat(pid int) (ppid int, ut, st uint64, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return
	}
	s := string(b)
	i := strings.LastIndexByte(s, ')')
	if i < 0 {
		return
	}
	f := strings.Fields(s[i+1:])
	if len(f) < 13 {
		return
	}
	ppid, _ = strconv.Atoi(f[1])
	ut, _ = strconv.ParseUint(f[11], 10, 64)
	st, _ = strconv.ParseUint(f[12], 10, 64)
	return ppid, ut * tick, st * tick, true
}

// parseGroups reads "server=123,124;redis=456" and adds every descendant.
func parseGroups(spec string) ([]group, error) {
	kids := map[int][]int{}
	ents, _ := os.ReadDir("/proc")
	for _, e := range ents {
		if p, err := strconv.Atoi(e.Name()); err == nil {
			if pp, _, _, ok := readStat(p); ok {
				kids[pp] = append(kids[pp], p)
			}
		}
	}
	var out []group
	for _, part := range strings.Split(spec, ";") {
		if part == "" {
			continue
		}
		k, v, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("bad -procs part %q", part)
		}
		g := group{name: k}
		var walk func(int)
		walk = func(p int) {
			g.pids = append(g.pids, p)
			for _, c := range kids[p] {
				walk(c)
			}
		}
		for _, s := range strings.Split(v, ",") {
			p, err := strconv.Atoi(strings.TrimSpace(s))
			if err != nil {
				return nil, err
			}
			walk(p)
		}
		out = append(out, g)
	}
	return out, nil
}

type cpu struct{ user, sys uint64 } // microseconds

func (c cpu) total() uint64   { return c.user + c.sys }
func (c cpu) minus(o cpu) cpu { return cpu{c.user - o.user, c.sys - o.sys} }

func (g group) cpu() (c cpu) {
	for _, p := range g.pids {
		if _, u, s, ok := readStat(p); ok {
			c.user += u
			c.sys += s
		}
	}
	return
}

func field(s, key string) uint64 {
	i := strings.Index(s, "\n"+key)
	if i < 0 {
		return 0
	}
	f := strings.Fields(s[i+1+len(key):])
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.ParseUint(f[0], 10, 64)
	return n
}

// mem returns PSS and RSS in KiB, summed over the group.
func (g group) mem() (pss, rss uint64) {
	for _, p := range g.pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			continue
		}
		pss += field("\n"+string(b), "Pss:")
		rss += field("\n"+string(b), "Rss:")
	}
	return
}

// foreign is the CPU time (us) so far of every process not in skip, with that
// of their finished children. The sum over all live processes is conserved
// when a child is reaped, so a difference is what really ran in between.
// (/proc/stat is no use for this: it samples at the timer tick and misses most
// of a workload that wakes often and runs briefly.)
func foreign(skip map[int]bool) (us uint64) {
	ents, _ := os.ReadDir("/proc")
	for _, e := range ents {
		p, err := strconv.Atoi(e.Name())
		if err != nil || skip[p] {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, v := range f[11:15] {
			n, _ := strconv.ParseUint(v, 10, 64)
			us += n * tick
		}
	}
	return
}

// steal reads the whole machine's stolen time (us).
func steal() uint64 {
	b, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 9 {
		return 0
	}
	n, _ := strconv.ParseUint(f[8], 10, 64)
	return n * tick
}

// sockMem reads the kernel's TCP memory (pages) and slab (KiB), system wide.
func sockMem() (tcpPages, slabKiB uint64) {
	if b, err := os.ReadFile("/proc/net/sockstat"); err == nil {
		for _, l := range strings.Split(string(b), "\n") {
			if strings.HasPrefix(l, "TCP:") {
				f := strings.Fields(l)
				tcpPages, _ = strconv.ParseUint(f[len(f)-1], 10, 64)
			}
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		slabKiB = field("\n"+string(b), "Slab:")
	}
	return
}
