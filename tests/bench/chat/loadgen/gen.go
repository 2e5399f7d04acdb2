package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	stConnecting = iota
	stUpgrade
	stOpening
	stReady
	stClosed
)

type conn struct {
	fd       int
	idx      int
	room     int
	state    uint8
	wantW    bool
	cmd      uint32
	user     string
	token    string
	roomName string
	out      []byte // unsent bytes
	in       []byte // incomplete input
	window   *window
}

// gen is the whole generator: one thread, one epoll set, raw sockets. It keeps
// its own CPU use small because it shares the machine with the server.
type gen struct {
	ad       adapter
	addr     syscall.SockaddrInet4
	host     string
	srcs     int
	ep       int
	conns    []*conn
	byFd     []*conn
	rooms    []string
	join     bool
	joinAck  string
	pad      string
	lines    []string // texts of messages; none: pad
	deflate  bool     // permessage-deflate is offered, and must be accepted
	infl     inflater
	base     time.Time
	tmp, fb  []byte
	rbuf     []byte
	events   []syscall.EpollEvent
	seq      uint64
	ready    int
	opened   int
	inflight int
	failed   int
	lastErr  string

	measuring      bool
	winStart       int64
	lat, lag       hist
	sent, allSent  uint64
	recv, allRecv  uint64
	acks, errs     uint64
	bytesIn        uint64
	blocked        uint64
	closedByServer int
}

func (g *gen) now() int64 { return int64(time.Since(g.base)) }

func (g *gen) logf(f string, a ...any) { fmt.Fprintf(os.Stderr, "loadgen: "+f+"\n", a...) }

func (g *gen) fail(c *conn, why string) {
	if c.state == stClosed {
		return
	}
	g.lastErr = why
	if c.state == stReady {
		g.closedByServer++
	} else {
		g.failed++
		g.inflight--
	}
	if g.failed+g.closedByServer <= 5 {
		g.logf("conn %d state %d: %s", c.idx, c.state, why)
	}
	c.state = stClosed
	g.byFd[c.fd] = nil
	syscall.Close(c.fd)
}

func (g *gen) ctl(op int, c *conn, ev uint32) {
	e := syscall.EpollEvent{Events: ev, Fd: int32(c.fd)}
	syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(g.ep), uintptr(op), uintptr(c.fd), uintptr(unsafe.Pointer(&e)), 0, 0)
}

const (
	solIP                = 0
	ipBindAddressNoPort  = 24
	sysEpollPwait2       = 441
	maxPending           = 4 << 20
	readSize             = 256 << 10
	maxSendsPerIteration = 64
)

// dial starts a non-blocking connect. Connections are spread over several
// loopback source addresses so that 64k ports are never the limit.
func (g *gen) dial(c *conn) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1, Linger: 0})
	syscall.SetsockoptInt(fd, solIP, ipBindAddressNoPort, 1)
	src := syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + c.idx%g.srcs)}}
	if err := syscall.Bind(fd, &src); err != nil {
		syscall.Close(fd)
		return err
	}
	err = syscall.Connect(fd, &g.addr)
	if err != nil && err != syscall.EINPROGRESS {
		syscall.Close(fd)
		return err
	}
	for fd >= len(g.byFd) {
		g.byFd = append(g.byFd, make([]*conn, 1024)...)
	}
	c.fd, c.state = fd, stConnecting
	g.byFd[fd] = c
	g.ctl(syscall.EPOLL_CTL_ADD, c, syscall.EPOLLIN|syscall.EPOLLOUT)
	c.wantW = true
	g.inflight++
	return nil
}

func (g *gen) write(c *conn, p []byte) {
	if c.state == stClosed {
		return
	}
	if len(c.out) > 0 {
		if len(c.out) > maxPending {
			g.fail(c, "server does not read")
			return
		}
		c.out = append(c.out, p...)
		return
	}
	n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if e == syscall.EAGAIN {
		n = 0
	} else if e != 0 {
		g.fail(c, "write: "+e.Error())
		return
	}
	if int(n) < len(p) {
		g.blocked++
		c.out = append(c.out, p[n:]...)
		if !c.wantW {
			c.wantW = true
			g.ctl(syscall.EPOLL_CTL_MOD, c, syscall.EPOLLIN|syscall.EPOLLOUT)
		}
	}
}

func (g *gen) sendText(c *conn, p []byte) {
	g.fb = appendFrame(g.fb[:0], 1, p)
	g.write(c, g.fb)
}

func (g *gen) writable(c *conn) {
	if c.state == stConnecting {
		v, err := syscall.GetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
		if err != nil || v != 0 {
			g.fail(c, "connect: "+syscall.Errno(v).Error())
			return
		}
		c.state = stUpgrade
		c.wantW = false
		g.ctl(syscall.EPOLL_CTL_MOD, c, syscall.EPOLLIN)
		g.fb = append(g.fb[:0], "GET "+g.ad.target(c)+" HTTP/1.1\r\nHost: "+g.host+
			"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+g.offer()+"\r\n"...)
		g.write(c, g.fb)
		return
	}
	for len(c.out) > 0 {
		n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(&c.out[0])), uintptr(len(c.out)))
		if e == syscall.EAGAIN {
			return
		}
		if e != 0 {
			g.fail(c, "write: "+e.Error())
			return
		}
		c.out = c.out[n:]
	}
	c.out = nil
	if c.wantW {
		c.wantW = false
		g.ctl(syscall.EPOLL_CTL_MOD, c, syscall.EPOLLIN)
	}
}

func (g *gen) setReady(c *conn) {
	c.state = stReady
	g.ready++
	g.inflight--
}

func (g *gen) readable(c *conn) {
	n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&g.rbuf[0])), uintptr(len(g.rbuf)))
	if e == syscall.EAGAIN || e == syscall.EINTR {
		return
	}
	if e != 0 {
		g.fail(c, "read: "+e.Error())
		return
	}
	if n == 0 {
		g.fail(c, "closed by server")
		return
	}
	b := g.rbuf[:n]
	g.bytesIn += uint64(n)
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	if c.state == stUpgrade {
		i := bytes.Index(b, []byte("\r\n\r\n"))
		if i < 0 {
			c.in = append([]byte(nil), b...)
			return
		}
		if !bytes.HasPrefix(b, []byte("HTTP/1.1 101")) {
			l, _, _ := strings.Cut(string(b[:i]), "\r\n")
			g.fail(c, "upgrade refused: "+l)
			return
		}
		if why := g.agreed(string(b[:i])); why != "" {
			g.fail(c, why)
			return
		}
		b = b[i+4:]
		c.state = stOpening
		g.opened++
		if g.ad.open(g, c) && c.state == stOpening {
			g.setReady(c)
		}
	}
	var now int64
	for len(b) > 0 {
		first, p, need := nextFrame(b)
		if need == 0 {
			break
		}
		b = b[need:]
		if first&0x40 != 0 {
			if p = g.infl.plain(p, &c.window); p == nil {
				g.fail(c, "a frame that does not inflate")
				return
			}
		}
		switch first & 0x0f {
		case 0, 1, 2:
			if c.state == stOpening {
				if g.ad.text(g, c, p) && c.state == stOpening {
					g.setReady(c)
				}
				if c.state == stClosed {
					return
				}
			}
			if c.state == stReady && g.ad.carries(g, c, p) {
				if now == 0 {
					now = g.now()
				}
				g.deliveries(p, now)
			}
		case 8:
			why := "close frame"
			if len(p) >= 2 {
				why = fmt.Sprintf("close frame %d %s", int(p[0])<<8|int(p[1]), p[2:])
			}
			g.fail(c, why)
		case 9:
			g.fb = appendFrame(g.fb[:0], 10, p)
			g.write(c, g.fb)
		}
		if c.state == stClosed {
			return
		}
	}
	if len(b) == 0 {
		c.in = nil
	} else {
		c.in = append([]byte(nil), b...)
	}
}

func (g *gen) deliveries(p []byte, now int64) {
	for {
		i := bytes.Index(p, marker)
		if i < 0 || len(p) < i+2+markerDigits {
			return
		}
		p = p[i+2:]
		var ts int64
		for _, d := range p[:markerDigits] {
			ts = ts*10 + int64(d-'0')
		}
		g.allRecv++
		if g.measuring {
			g.recv++
			if ts >= g.winStart {
				g.lat.add(uint64((now - ts) / 1000))
			}
		}
	}
}

// poll waits at most d and handles what came.
func (g *gen) poll(d time.Duration) {
	if d < 0 {
		d = 0
	}
	ts := syscall.NsecToTimespec(int64(d))
	var n uintptr
	var e syscall.Errno
	if d == 0 {
		n, _, e = syscall.RawSyscall6(sysEpollPwait2, uintptr(g.ep), uintptr(unsafe.Pointer(&g.events[0])), uintptr(len(g.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	} else {
		n, _, e = syscall.Syscall6(sysEpollPwait2, uintptr(g.ep), uintptr(unsafe.Pointer(&g.events[0])), uintptr(len(g.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	}
	if e != 0 {
		return
	}
	for _, ev := range g.events[:n] {
		c := g.byFd[ev.Fd]
		if c == nil {
			continue
		}
		if ev.Events&syscall.EPOLLOUT != 0 {
			g.writable(c)
		}
		if c.state != stClosed && c.state != stConnecting && ev.Events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
			g.readable(c)
		}
	}
}

// run polls for d.
func (g *gen) run(d time.Duration) {
	end := g.now() + int64(d)
	for {
		left := end - g.now()
		if left <= 0 {
			return
		}
		g.poll(time.Duration(left))
	}
}

// connectAll opens every connection with at most k in progress.
func (g *gen) connectAll(k int, limit time.Duration) error {
	next := 0
	end := g.now() + int64(limit)
	for g.ready+g.failed+g.closedByServer < len(g.conns) {
		for next < len(g.conns) && g.inflight < k {
			if err := g.dial(g.conns[next]); err != nil {
				return err
			}
			next++
		}
		g.poll(100 * time.Millisecond)
		if g.now() > end {
			return fmt.Errorf("connect timeout: %d ready, %d failed of %d (%s)", g.ready, g.failed, len(g.conns), g.lastErr)
		}
	}
	return nil
}

// send runs the open loop at rate msg/s for d: message i is due at i/rate,
// whatever the server does, and is stamped with that due time.
func (g *gen) send(rate float64, d time.Duration, rng *uint64) {
	start := g.now()
	total := uint64(rate * d.Seconds())
	gap := 1e9 / rate
	var i uint64
	for i < total {
		now := g.now()
		for k := 0; i < total && k < maxSendsPerIteration; k++ {
			due := start + int64(float64(i)*gap)
			if due > now {
				break
			}
			i++
			*rng ^= *rng << 13
			*rng ^= *rng >> 7
			*rng ^= *rng << 17
			c := g.conns[*rng%uint64(len(g.conns))]
			if c.state != stReady {
				continue
			}
			g.ad.publish(g, c, due)
			g.allSent++
			if g.measuring {
				g.sent++
				g.lag.add(uint64((now - due) / 1000))
			}
		}
		due := start + int64(float64(i)*gap)
		g.poll(time.Duration(due - g.now()))
	}
	if end := start + int64(d); g.now() < end {
		g.run(time.Duration(end - g.now()))
	}
}

func (g *gen) closeAll() {
	for _, c := range g.conns {
		if c.state != stClosed && c.fd > 0 {
			syscall.Close(c.fd)
			c.state = stClosed
		}
	}
}
