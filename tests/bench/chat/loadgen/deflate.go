package main

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
)

// offer is the header that offers permessage-deflate, when wanted.
func (g *gen) offer() string {
	if !g.deflate {
		return ""
	}
	return "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
}

// agreed looks at the head of the upgrade's answer: what was offered must have
// been accepted, with a window that ends with each message, since frames are
// inflated one by one here. Returns what is wrong.
func (g *gen) agreed(head string) string {
	if !g.deflate {
		return ""
	}
	if !strings.Contains(head, "permessage-deflate") || !strings.Contains(head, "server_no_context_takeover") {
		return "permessage-deflate was not accepted"
	}
	return ""
}

const inflaterKeeps = 256

// inflater inflates frames, one that many members of a room get only once: the
// generator shares the machine with what it measures.
type inflater struct {
	r    io.ReadCloser
	buf  bytes.Buffer
	seen map[string][]byte
	ring [inflaterKeeps]string
	next int
}

// plain returns the payload of a compressed frame, nil when it is not valid.
func (f *inflater) plain(p []byte) []byte {
	if got, ok := f.seen[string(p)]; ok {
		return got
	}
	src := io.MultiReader(bytes.NewReader(p), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))
	if f.r == nil {
		f.r = flate.NewReader(src)
		f.seen = make(map[string][]byte, inflaterKeeps)
	} else if f.r.(flate.Resetter).Reset(src, nil) != nil {
		return nil
	}
	f.buf.Reset()
	if _, err := f.buf.ReadFrom(f.r); err != nil {
		return nil
	}
	out := append([]byte(nil), f.buf.Bytes()...)
	delete(f.seen, f.ring[f.next])
	key := string(p)
	f.ring[f.next], f.seen[key] = key, out
	f.next = (f.next + 1) % inflaterKeeps
	return out
}
