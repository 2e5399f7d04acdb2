package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type getResult struct {
	Rate    float64            `json:"rate"`
	PerS    float64            `json:"per_s"`
	P50     uint64             `json:"p50_us"`
	P99     uint64             `json:"p99_us"`
	Max     uint64             `json:"max_us"`
	Bytes   float64            `json:"bytes_per_answer"`
	Foreign float64            `json:"foreign_cpu_pct"`
	UsPer   map[string]float64 `json:"cpu_us_per_request"`
}

// getter is one kept-alive connection.
type getter struct {
	c    net.Conn
	r    *bufio.Reader
	lat  hist
	n    uint64
	size uint64
}

// one asks and reads the whole answer.
func (t *getter) one(request []byte) (size int, err error) {
	if _, err = t.c.Write(request); err != nil {
		return
	}
	length := -1
	for first := true; ; first = false {
		l, err := t.r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		size += len(l)
		if first && !strings.HasPrefix(string(l), "HTTP/1.1 200") {
			return 0, fmt.Errorf("answered %q", l)
		}
		if len(l) <= 2 {
			break
		}
		if len(l) > 15 && strings.EqualFold(string(l[:15]), "Content-Length:") {
			if length, err = strconv.Atoi(strings.TrimSpace(string(l[15:]))); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, fmt.Errorf("an answer without Content-Length")
	}
	_, err = t.r.Discard(length)
	return size + length, err
}

// getAll is the HTTP side: conns connections, on each of them one request after
// the other (rate 0), or when it is due, as send() does it. Each line of the
// file is a user and a path.
func getAll(file, addr, procs, secret, out string, conns int, rate float64, warm, dur time.Duration) {
	b, err := os.ReadFile(file)
	check(err)
	var requests [][]byte
	for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		user, path, _ := strings.Cut(l, " ")
		requests = append(requests, []byte("GET "+path+" HTTP/1.1\r\nHost: "+addr+
			"\r\nAuthorization: Bearer "+mintJWT(secret, user)+"\r\n\r\n"))
	}
	groups, err := parseGroups(procs)
	check(err)
	all := append(groups, group{"loadgen", []int{os.Getpid()}})
	skip := map[int]bool{}
	for _, g := range all {
		for _, p := range g.pids {
			skip[p] = true
		}
	}

	var next, measuring uint64
	var wg sync.WaitGroup
	begin := time.Now()
	end := begin.Add(warm + dur)
	gs := make([]*getter, conns)
	for i := range gs {
		c, err := net.Dial("tcp", addr)
		check(err)
		t := &getter{c: c, r: bufio.NewReaderSize(c, 64<<10)}
		gs[i] = t
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := atomic.AddUint64(&next, 1) - 1
				due := time.Now()
				if rate > 0 {
					due = begin.Add(time.Duration(float64(i) / rate * 1e9))
					time.Sleep(time.Until(due))
				}
				if due.After(end) {
					return
				}
				m := atomic.LoadUint64(&measuring)
				size, err := t.one(requests[i%uint64(len(requests))])
				check(err)
				if m != 0 {
					t.lat.add(uint64(time.Since(due) / time.Microsecond))
					t.size += uint64(size)
					t.n++
				}
			}
		}()
	}
	time.Sleep(warm)
	atomic.StoreUint64(&measuring, 1)
	before := map[string]cpu{}
	for _, g := range all {
		before[g.name] = g.cpu()
	}
	f0, t0 := foreign(skip), time.Now()
	time.Sleep(time.Until(end))
	win := time.Since(t0).Seconds()
	used := map[string]cpu{}
	for _, g := range all {
		used[g.name] = g.cpu().minus(before[g.name])
	}
	f1 := foreign(skip)
	wg.Wait()

	res := getResult{Rate: rate, UsPer: map[string]float64{}}
	var n, size uint64
	var lat hist
	for _, t := range gs {
		t.c.Close()
		n, size = n+t.n, size+t.size
		lat.merge(&t.lat)
	}
	res.PerS, res.Bytes = float64(n)/win, float64(size)/float64(n)
	res.P50, res.P99, res.Max = lat.quantile(.5), lat.quantile(.99), lat.max
	res.Foreign = float64(f1-f0) / 1e4 / win
	for name, u := range used {
		res.UsPer[name] = float64(u.total()) / float64(n)
	}
	js, _ := json.Marshal(res)
	w := io.Writer(os.Stdout)
	if out != "" {
		f, err := os.OpenFile(out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		check(err)
		defer f.Close()
		w = f
	}
	fmt.Fprintf(w, "%s\n", js)
}
