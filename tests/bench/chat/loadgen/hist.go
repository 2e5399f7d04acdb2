package main

import "math/bits"

// hist is a log-linear latency histogram (values in microseconds, 64
// sub-buckets per power of two: about 1.6 % resolution, no allocation).
type hist struct {
	n   uint64
	max uint64
	b   [64 * 40]uint32
}

func bucket(v uint64) int {
	if v < 128 {
		return int(v)
	}
	e := bits.Len64(v) - 7 // v>>e is in 64..127
	i := 64*e + int(v>>uint(e))
	if i >= 64*40 {
		i = 64*40 - 1
	}
	return i
}

func bucketLow(i int) uint64 {
	if i < 128 {
		return uint64(i)
	}
	e := i/64 - 1
	return uint64(i-64*e) << uint(e)
}

func (h *hist) add(us uint64) {
	h.n++
	if us > h.max {
		h.max = us
	}
	h.b[bucket(us)]++
}

func (h *hist) quantile(q float64) uint64 {
	if h.n == 0 {
		return 0
	}
	want := uint64(q * float64(h.n))
	if want >= h.n {
		want = h.n - 1
	}
	var c uint64
	for i, k := range h.b {
		c += uint64(k)
		if c > want {
			return bucketLow(i)
		}
	}
	return h.max
}

func (h *hist) merge(o *hist) {
	h.n += o.n
	if o.max > h.max {
		h.max = o.max
	}
	for i, n := range o.b {
		h.b[i] += n
	}
}
