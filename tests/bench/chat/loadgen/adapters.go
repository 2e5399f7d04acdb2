package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// The send timestamp travels in the text as  @T<19 digits>  (nanoseconds on
// the generator's clock). Every occurrence in an incoming data frame is one
// delivery, so servers may put several messages in a frame.
var marker = []byte("@T")

const markerDigits = 19

func appendMarker(dst []byte, ns int64) []byte {
	var d [markerDigits]byte
	for i := markerDigits - 1; i >= 0; i-- {
		d[i] = byte('0' + ns%10)
		ns /= 10
	}
	return append(append(dst, marker...), d[:]...)
}

// adapter is one wire protocol. All calls come from the single event loop.
type adapter interface {
	// target returns the request target of the upgrade request.
	target(c *conn) string
	// open is called once the upgrade succeeded; it returns true if the
	// connection needs nothing more to be ready.
	open(g *gen, c *conn) bool
	// text handles a data frame of a connection that is not ready yet and
	// returns true once it is.
	text(g *gen, c *conn, p []byte) bool
	// carries tells whether a data frame can hold deliveries.
	carries(g *gen, c *conn, p []byte) bool
	// publish queues one message of c to its room.
	publish(g *gen, c *conn, ns int64)
}

func newAdapter(name string) (adapter, error) {
	switch name {
	case "writeen", "gohub":
		return &writeen{}, nil
	case "nchan":
		return &nchan{}, nil
	case "centrifugo":
		return &centrifugo{}, nil
	}
	return nil, fmt.Errorf("unknown protocol %q", name)
}

// appendMessage is the event a chat client is shown. Peers that relay opaque
// bytes (nchan, Centrifugo) get it ready-made, so that every peer delivers
// about the same number of bytes.
func (g *gen) appendMessage(b []byte, c *conn, ns int64) []byte {
	g.seq++
	b = append(b, `{"event":"message_received","data":{"message":{"id":"65f0c0de`...)
	b = appendHex16(b, g.seq)
	b = append(b, `","conversationId":"`...)
	b = append(b, g.rooms[c.room]...)
	b = append(b, `","senderId":"`...)
	b = append(b, c.user...)
	b = append(b, `","type":"text","content":{"text":"`...)
	b = g.appendText(b, ns)
	return append(b, `"},"createdAt":"2024-01-01T00:00:00.000Z"}}}`...)
}

// appendText is what somebody says: when, and the next line of the file, or
// padding.
func (g *gen) appendText(b []byte, ns int64) []byte {
	b = appendMarker(b, ns)
	if len(g.lines) > 0 {
		return append(b, g.lines[g.seq%uint64(len(g.lines))]...)
	}
	return append(b, g.pad...)
}

func appendHex16(b []byte, v uint64) []byte {
	const h = "0123456789abcdef"
	for s := 60; s >= 0; s -= 4 {
		b = append(b, h[v>>uint(s)&15])
	}
	return b
}

// --- writeen: the project's own protocol, also spoken by gohub and floor ---

type writeen struct{}

func (*writeen) target(c *conn) string { return "/ws?token=" + c.token }

func (*writeen) open(g *gen, c *conn) bool {
	if !g.join {
		return true
	}
	b := append(g.tmp[:0], `{"event":"join_conversation","data":{"conversationId":"`...)
	b = append(b, g.rooms[c.room]...)
	b = append(b, `"}}`...)
	g.tmp = b
	g.sendText(c, b)
	return g.joinAck == ""
}

func (*writeen) text(g *gen, c *conn, p []byte) bool {
	if g.joinAck == "" {
		return true
	}
	return bytes.Contains(p, []byte(g.joinAck))
}

var evMessage = []byte(`message_received`)

func (*writeen) carries(g *gen, c *conn, p []byte) bool {
	if bytes.Contains(p, evMessage) {
		return true
	}
	g.acks++
	return false
}

func (*writeen) publish(g *gen, c *conn, ns int64) {
	g.seq++
	b := append(g.tmp[:0], `{"event":"send_message","data":{"conversationId":"`...)
	b = append(b, g.rooms[c.room]...)
	b = append(b, `","type":"text","content":{"text":"`...)
	b = g.appendText(b, ns)
	b = append(b, `"},"clientMessageId":"`...)
	b = appendHex16(b, g.seq)
	b = append(b, `"}}`...)
	g.tmp = b
	g.sendText(c, b)
}

// --- nchan: websocket pubsub location, one channel per connection ---

type nchan struct{}

func (*nchan) target(c *conn) string {
	return "/ws/" + c.roomName + "?token=" + c.token
}
func (*nchan) open(*gen, *conn) bool            { return true }
func (*nchan) text(*gen, *conn, []byte) bool    { return true }
func (*nchan) carries(*gen, *conn, []byte) bool { return true }
func (*nchan) publish(g *gen, c *conn, ns int64) {
	g.tmp = g.appendMessage(g.tmp[:0], c, ns)
	g.sendText(c, g.tmp)
}

// --- Centrifugo: JSON protocol, newline-separated commands and replies ---

type centrifugo struct{}

func (*centrifugo) target(*conn) string { return "/connection/websocket" }

func (*centrifugo) open(g *gen, c *conn) bool {
	g.sendText(c, []byte(`{"id":1,"connect":{"token":"`+c.token+`"}}`))
	return false
}

func (*centrifugo) text(g *gen, c *conn, p []byte) bool {
	for _, line := range bytes.Split(p, []byte("\n")) {
		switch {
		case len(line) == 0:
		case bytes.Equal(line, []byte("{}")):
			g.sendText(c, line)
		case bytes.Contains(line, []byte(`"error"`)):
			g.fail(c, "centrifugo: "+string(line))
			return false
		case bytes.HasPrefix(line, []byte(`{"id":1,"connect"`)):
			if !g.join {
				return true
			}
			g.sendText(c, []byte(`{"id":2,"subscribe":{"channel":"conv:`+g.rooms[c.room]+`"}}`))
		case bytes.HasPrefix(line, []byte(`{"id":2,"subscribe"`)):
			return true
		}
	}
	return false
}

func (*centrifugo) carries(g *gen, c *conn, p []byte) bool {
	if len(p) == 2 && p[0] == '{' && p[1] == '}' { // ping
		g.sendText(c, p)
		return false
	}
	if bytes.HasPrefix(p, []byte(`{"id":`)) {
		g.acks++
		if bytes.Contains(p, []byte(`"error"`)) {
			g.errs++
			if g.errs < 5 {
				g.logf("centrifugo error: %s", p)
			}
		}
	}
	return true
}

func (*centrifugo) publish(g *gen, c *conn, ns int64) {
	c.cmd++
	b := append(g.tmp[:0], `{"id":`...)
	b = strconv.AppendUint(b, uint64(c.cmd)+2, 10)
	b = append(b, `,"publish":{"channel":"conv:`...)
	b = append(b, g.rooms[c.room]...)
	b = append(b, `","data":`...)
	b = g.appendMessage(b, c, ns)
	b = append(b, `}}`...)
	g.tmp = b
	g.sendText(c, b)
}
