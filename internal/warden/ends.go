package warden

import "container/heap"

// queue holds the live bans that have an end, the earliest first; equal ends in the order of their IDs, so that runs repeat.
type queue struct{ list endList }

func (q *queue) add(h *held) { heap.Push(&q.list, h) }

func (q *queue) remove(h *held) {
	if h.heap >= 0 {
		heap.Remove(&q.list, h.heap)
	}
}

// moved must follow every change of h.Until.
func (q *queue) moved(h *held) {
	switch {
	case h.Permanent():
		q.remove(h)
	case h.heap < 0:
		q.add(h)
	default:
		heap.Fix(&q.list, h.heap)
	}
}

func (q *queue) first() *held {
	if len(q.list) == 0 {
		return nil
	}
	return q.list[0]
}

type endList []*held

func (l endList) Len() int { return len(l) }

func (l endList) Less(i, j int) bool {
	if c := l[i].Until.Compare(l[j].Until); c != 0 {
		return c < 0
	}
	return l[i].ID < l[j].ID
}

func (l endList) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].heap, l[j].heap = i, j
}

func (l *endList) Push(x any) {
	h := x.(*held)
	h.heap = len(*l)
	*l = append(*l, h)
}

func (l *endList) Pop() any {
	old := *l
	h := old[len(old)-1]
	old[len(old)-1] = nil
	*l = old[:len(old)-1]
	h.heap = -1
	return h
}
