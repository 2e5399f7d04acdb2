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
	return "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
}

// agreed looks at the head of the upgrade's answer: what was offered must have
// been accepted. Returns what is wrong.
func (g *gen) agreed(head string) string {
	if !g.deflate {
		return ""
	}
	if !strings.Contains(head, "permessage-deflate") {
		return "permessage-deflate was not accepted"
	}
	return ""
}

const inflaterKeeps = 1024

// window is what a connection keeps: its last compressed message, in plain. A
// server that refers to older ones is not understood, and the run fails.
type window struct {
	text []byte
}

// packed is a frame, and what the one who got it had before.
type packed struct {
	before *window
	frame  string
}

// inflater inflates frames, one that many members of a room get only once: the
// generator shares the machine with what it measures.
type inflater struct {
	r    io.ReadCloser
	buf  bytes.Buffer
	seen map[packed]*window
	ring [inflaterKeeps]packed
	next int
}

// plain returns the payload of a compressed frame, nil when it is not valid;
// *w is the receiver's.
func (f *inflater) plain(p []byte, w **window) []byte {
	if got, ok := f.seen[packed{*w, string(p)}]; ok {
		*w = got
		return got.text
	}
	var before []byte
	if *w != nil {
		before = (*w).text
	}
	src := io.MultiReader(bytes.NewReader(p), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))
	if f.r == nil {
		f.r = flate.NewReaderDict(src, before)
		f.seen = make(map[packed]*window, inflaterKeeps)
	} else if f.r.(flate.Resetter).Reset(src, before) != nil {
		return nil
	}
	f.buf.Reset()
	if _, err := f.buf.ReadFrom(f.r); err != nil {
		return nil
	}
	out := &window{append([]byte(nil), f.buf.Bytes()...)}
	delete(f.seen, f.ring[f.next])
	key := packed{*w, string(p)}
	f.ring[f.next], f.seen[key] = key, out
	f.next = (f.next + 1) % inflaterKeeps
	*w = out
	return out.text
}
