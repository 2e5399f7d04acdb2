package main

import "encoding/binary"

// The mask key is fixed: masking only has to be valid, not unpredictable, on
// loopback. It is not zero, so the server does the full unmasking work.
var maskKey = [4]byte{0x5a, 0xc3, 0x17, 0xe9}

// appendFrame appends one masked client frame carrying p.
func appendFrame(dst []byte, opcode byte, p []byte) []byte {
	dst = append(dst, 0x80|opcode)
	switch {
	case len(p) < 126:
		dst = append(dst, 0x80|byte(len(p)))
	case len(p) < 65536:
		dst = append(dst, 0x80|126, byte(len(p)>>8), byte(len(p)))
	default:
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(len(p)))
		dst = append(append(dst, 0x80|127), b[:]...)
	}
	dst = append(dst, maskKey[:]...)
	off := len(dst)
	dst = append(dst, p...)
	q := dst[off:]
	for i := range q {
		q[i] ^= maskKey[i&3]
	}
	return dst
}

// nextFrame splits one unmasked server frame off b; first is its first byte
// (FIN, RSV1 and opcode). need is 0 when b does not hold a whole frame yet.
func nextFrame(b []byte) (first byte, payload []byte, need int) {
	if len(b) < 2 {
		return
	}
	n, h := int(b[1]&0x7f), 2
	switch n {
	case 126:
		if len(b) < 4 {
			return
		}
		n, h = int(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return
		}
		n, h = int(binary.BigEndian.Uint64(b[2:])), 10
	}
	if len(b) < h+n {
		return
	}
	return b[0], b[h : h+n], h + n
}
