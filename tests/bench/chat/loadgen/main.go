// loadgen drives one chat fan-out server over loopback and reports delivered
// rate, latency and the CPU time and memory the server's processes used.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

type procResult struct {
	UserS      float64 `json:"user_s"`
	SysS       float64 `json:"sys_s"`
	UsPerMsg   float64 `json:"us_per_msg"`      // CPU us per message handled (delivered / fan-out)
	UsPerDeliv float64 `json:"us_per_delivery"` // CPU us per delivery
	ConnectMs  float64 `json:"ms_per_connect"`
	PssBase    uint64  `json:"pss_base_kib"`
	PssConn    uint64  `json:"pss_connected_kib"`
	PssEnd     uint64  `json:"pss_end_kib"`
	RssEnd     uint64  `json:"rss_end_kib"`
	KiBPerConn float64 `json:"kib_per_conn"`
	IdleCPUPct float64 `json:"idle_cpu_pct"`
	pids       []int
	cpuBefore  cpu
	group      group
}

type result struct {
	Peer         string                 `json:"peer"`
	Scenario     string                 `json:"scenario"`
	Proto        string                 `json:"proto"`
	Conns        int                    `json:"conns"`
	Rooms        int                    `json:"rooms"`
	Rate         float64                `json:"rate"`
	Seconds      float64                `json:"seconds"`
	ConnectS     float64                `json:"connect_s"`
	ConnectRate  float64                `json:"connects_per_s"`
	ConnFailed   int                    `json:"connect_failed"`
	Sent         uint64                 `json:"sent"`
	Delivered    uint64                 `json:"delivered"`
	Acks         uint64                 `json:"acks"`
	Errors       uint64                 `json:"errors"`
	SentRate     float64                `json:"sent_per_s"`
	DelivRate    float64                `json:"delivered_per_s"`
	TotalSent    uint64                 `json:"total_sent"`
	TotalExpect  uint64                 `json:"total_expected"`
	TotalDeliv   uint64                 `json:"total_delivered"`
	ServerClosed int                    `json:"closed_by_server"`
	BytesIn      float64                `json:"bytes_in_per_delivery"`
	P50          uint64                 `json:"p50_us"`
	P90          uint64                 `json:"p90_us"`
	P99          uint64                 `json:"p99_us"`
	P999         uint64                 `json:"p999_us"`
	Max          uint64                 `json:"max_us"`
	LagP99       uint64                 `json:"send_lag_p99_us"`
	BusyPct      float64                `json:"machine_busy_pct"`
	OtherPct     float64                `json:"foreign_cpu_pct"` // CPU use of processes outside the bench
	ConnOtherPct float64                `json:"connect_foreign_cpu_pct"`
	StealPct     float64                `json:"steal_pct"`
	KernelKiB    float64                `json:"kernel_kib_per_conn"` // both ends of the loopback socket
	Saturated    bool                   `json:"saturated"`
	Procs        map[string]*procResult `json:"procs"`
}

func main() {
	var (
		peer    = flag.String("peer", "?", "label")
		scen    = flag.String("scenario", "?", "label")
		proto   = flag.String("proto", "writeen", "writeen | gohub | nchan | centrifugo")
		addr    = flag.String("addr", "127.0.0.1:18080", "server address (IPv4)")
		nconn   = flag.Int("conns", 1000, "connections")
		nroom   = flag.Int("rooms", 500, "conversations; members = conns / rooms")
		rate    = flag.Float64("rate", 0, "aggregate messages per second, open loop; 0 = none")
		warm    = flag.Duration("warm", 2*time.Second, "warm-up at the same rate")
		dur     = flag.Duration("dur", 8*time.Second, "measured time (or idle time when rate is 0)")
		settle  = flag.Duration("settle", time.Second, "quiet time after connecting")
		par     = flag.Int("parallel", 64, "connects in progress")
		join    = flag.Bool("join", true, "join the room after connecting")
		joinAck = flag.String("join-ack", "conversation_joined", "writeen: event that confirms a join; empty = do not wait")
		roomFmt = flag.String("room-fmt", "c%06d", "conversation id format")
		userFmt = flag.String("user-fmt", "u%06d", "user id format")
		secret  = flag.String("secret", "bench-secret-0123456789abcdef0123456789", "HS256 secret")
		size    = flag.Int("size", 100, "text length in bytes")
		srcs    = flag.Int("srcs", 8, "loopback source addresses")
		procs   = flag.String("procs", "", "server=PID[,PID];redis=PID;... (children are added)")
		out     = flag.String("out", "", "append the JSON result to this file")
	)
	text := flag.String("text", "", "a file with a message's text in each line, instead of padding")
	deflate := flag.Bool("deflate", false, "offer permessage-deflate")
	get := flag.String("get", "", "no sockets: GET these paths, one a line of this file, -rate 0: as fast as answers come")
	quiet := flag.Duration("quiet", 0, "only print the machine's CPU use in % over this time")
	flag.Parse()
	if *quiet > 0 {
		f := foreign(nil)
		time.Sleep(*quiet)
		fmt.Printf("%.0f\n", float64(foreign(nil)-f)/1e4/float64(runtime.NumCPU())/quiet.Seconds())
		return
	}
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // no collection pauses; a run allocates little

	var lim syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim))
	lim.Cur = lim.Max
	check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim))
	if uint64(*nconn)+64 > lim.Cur {
		check(fmt.Errorf("%d connections need more than %d descriptors", *nconn, lim.Cur))
	}
	if *get != "" {
		getAll(*get, *addr, *procs, *secret, *out, *nconn, *rate, *warm, *dur)
		return
	}
	ad, err := newAdapter(*proto)
	check(err)
	ta, err := net.ResolveTCPAddr("tcp4", *addr)
	check(err)
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	check(err)
	g := &gen{ad: ad, host: *addr, srcs: *srcs, ep: ep, join: *join, joinAck: *joinAck,
		base: time.Now(), rbuf: make([]byte, readSize), events: make([]syscall.EpollEvent, 512),
		tmp: make([]byte, 0, 65536), fb: make([]byte, 0, 65536)}
	g.addr.Port = ta.Port
	copy(g.addr.Addr[:], ta.IP.To4())
	if n := *size - 2 - markerDigits; n > 0 {
		g.pad = " " + strings.Repeat("x", n-1)
	}
	g.deflate = *deflate
	if *text != "" {
		b, err := os.ReadFile(*text)
		check(err)
		for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			g.lines = append(g.lines, " "+l)
		}
	}
	for i := 0; i < *nroom; i++ {
		g.rooms = append(g.rooms, fmt.Sprintf(*roomFmt, i))
	}
	per := *nconn / *nroom
	for i := 0; i < *nconn; i++ {
		u := fmt.Sprintf(*userFmt, i)
		r := i / per % *nroom
		g.conns = append(g.conns, &conn{idx: i, room: r, user: u, roomName: g.rooms[r], token: mintJWT(*secret, u)})
	}

	groups, err := parseGroups(*procs)
	check(err)
	self := group{"loadgen", []int{os.Getpid()}}
	res := &result{Peer: *peer, Scenario: *scen, Proto: *proto, Conns: *nconn, Rooms: *nroom, Rate: *rate,
		Procs: map[string]*procResult{}}
	all := append(groups, self)
	for _, gr := range all {
		p := &procResult{group: gr}
		p.PssBase, _ = gr.mem()
		p.cpuBefore = gr.cpu()
		res.Procs[gr.name] = p
	}
	skip := map[int]bool{}
	for _, gr := range all {
		for _, p := range gr.pids {
			skip[p] = true
		}
	}
	tcp0, slab0 := sockMem()

	// 1. connect
	f0, st0 := foreign(skip), steal()
	t0 := g.now()
	check(g.connectAll(*par, 120*time.Second))
	res.ConnectS = float64(g.now()-t0) / 1e9
	res.ConnectRate = float64(g.ready) / res.ConnectS
	res.ConnFailed = g.failed
	cpus := float64(runtime.NumCPU()) * 1e4 // us per CPU and percent of a second
	res.ConnOtherPct = float64(foreign(skip)-f0) / cpus / res.ConnectS
	// what a server does once a connection stands belongs to the connect, too
	g.run(*settle)
	for _, p := range res.Procs {
		p.ConnectMs = float64(p.group.cpu().minus(p.cpuBefore).total()) / 1e3 / g.each()
	}

	// 2. warm up, then measure
	rng := uint64(0x9e3779b97f4a7c15)
	if *rate > 0 {
		g.send(*rate, *warm, &rng)
	}
	for _, p := range res.Procs {
		p.PssConn, _ = p.group.mem()
		p.cpuBefore = p.group.cpu()
	}
	f0, st0 = foreign(skip), steal()
	g.measuring, g.winStart = true, g.now()
	in0, ack0 := g.bytesIn, g.acks
	if *rate > 0 {
		g.send(*rate, *dur, &rng)
	} else {
		g.run(*dur)
	}
	g.measuring = false
	win := float64(g.now()-g.winStart) / 1e9
	f1, st1 := foreign(skip), steal()
	fan := float64(per)
	var benchUs uint64
	for _, p := range res.Procs {
		d := p.group.cpu().minus(p.cpuBefore)
		benchUs += d.total()
		p.UserS, p.SysS = float64(d.user)/1e6, float64(d.sys)/1e6
		if g.recv > 0 {
			p.UsPerDeliv = float64(d.total()) / float64(g.recv)
			p.UsPerMsg = p.UsPerDeliv * fan
		}
		p.PssEnd, p.RssEnd = p.group.mem()
		p.KiBPerConn = (float64(p.PssConn) - float64(p.PssBase)) / g.each()
		if *rate == 0 {
			p.IdleCPUPct = float64(d.total()) / 1e4 / win
			p.KiBPerConn = (float64(p.PssEnd) - float64(p.PssBase)) / g.each()
		}
	}
	tcp1, slab1 := sockMem()
	res.KernelKiB = (float64(slab1) - float64(slab0) + 4*(float64(tcp1)-float64(tcp0))) / g.each()
	res.Seconds, res.Sent, res.Delivered = win, g.sent, g.recv
	res.SentRate, res.DelivRate = float64(g.sent)/win, float64(g.recv)/win
	res.Acks = g.acks - ack0
	if g.recv > 0 {
		res.BytesIn = float64(g.bytesIn-in0) / float64(g.recv)
	}
	res.OtherPct = float64(f1-f0) / cpus / win
	res.StealPct = float64(st1-st0) / cpus / win
	res.BusyPct = float64(benchUs)/cpus/win + res.OtherPct

	// 3. drain, then account for every message
	if *rate > 0 {
		want := g.allSent * uint64(per)
		for end := g.now() + 5e9; g.allRecv < want && g.now() < end; {
			g.poll(10 * time.Millisecond)
		}
		g.run(50 * time.Millisecond) // duplicates would show up here
		res.TotalSent, res.TotalExpect, res.TotalDeliv = g.allSent, want, g.allRecv
	}
	res.ServerClosed, res.Errors = g.closedByServer, g.errs
	res.P50, res.P90, res.P99 = g.lat.quantile(.5), g.lat.quantile(.9), g.lat.quantile(.99)
	res.P999, res.Max = g.lat.quantile(.999), g.lat.max
	res.LagP99 = g.lag.quantile(.99)
	res.Saturated = *rate > 0 && (float64(g.recv) < .97**rate*win*fan || res.P99 > 1e6)
	g.closeAll()

	js, _ := json.Marshal(res)
	if *out != "" {
		f, err := os.OpenFile(*out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		check(err)
		fmt.Fprintf(f, "%s\n", js)
		f.Close()
	}
	fmt.Printf("%-16s %-10s conns %d in %.2fs (%.0f/s, %d failed)", *peer, *scen, g.ready, res.ConnectS, res.ConnectRate, res.ConnFailed)
	if *rate > 0 {
		fmt.Printf(" | sent %.0f/s deliv %.0f/s p50 %.2f p99 %.2f ms lag %.2f | total %d/%d closed %d sat %v", res.SentRate, res.DelivRate,
			float64(res.P50)/1e3, float64(res.P99)/1e3, float64(res.LagP99)/1e3, res.TotalDeliv, res.TotalExpect, res.ServerClosed, res.Saturated)
	}
	fmt.Printf(" | busy %.0f%% foreign %.0f%% steal %.1f%%\n", res.BusyPct, res.OtherPct, res.StealPct)
	for _, gr := range all {
		p := res.Procs[gr.name]
		fmt.Printf("    %-8s cpu %.2fs (u %.2f s %.2f) us/msg %.2f us/deliv %.2f connect %.3f ms | pss %d -> %d KiB (%.2f KiB/conn) idle %.2f%%\n",
			gr.name, p.UserS+p.SysS, p.UserS, p.SysS, p.UsPerMsg, p.UsPerDeliv, p.ConnectMs, p.PssBase, p.PssEnd, p.KiBPerConn, p.IdleCPUPct)
	}
	os.Exit(res.verdict())
}

// each is the number of connections, to divide by.
func (g *gen) each() float64 {
	if g.ready == 0 {
		return 1
	}
	return float64(g.ready)
}

// verdict is the exit status: 3 when connections failed or were dropped, or
// when an unsaturated server did not deliver every message exactly once.
func (r *result) verdict() int {
	if r.ConnFailed > 0 || r.ServerClosed > 0 || r.Errors > 0 || (!r.Saturated && r.TotalDeliv != r.TotalExpect) {
		return 3
	}
	return 0
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}
