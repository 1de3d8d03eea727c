package simulate

// done is what a generator answers that has nothing more to send.
const done = -1 << 63

// entry is one generator with the time of its next record.
type entry struct {
	at    int64
	order uint32 // of the generators' making: decides among equal times
	step  func(at int64) int64
}

// queue is a binary heap by time. Only its head ever changes, so that it is written out here instead of going through container/heap.
type queue []entry

func (q queue) less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].order < q[j].order
}

func (q queue) init() {
	for i := len(q)/2 - 1; i >= 0; i-- {
		q.down(i)
	}
}

func (q queue) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(q) {
			return
		}
		if child+1 < len(q) && q.less(child+1, child) {
			child++
		}
		if !q.less(child, i) {
			return
		}
		q[i], q[child] = q[child], q[i]
		i = child
	}
}

func (q *queue) pop() {
	last := len(*q) - 1
	(*q)[0] = (*q)[last]
	(*q)[last] = entry{}
	*q = (*q)[:last]
	q.down(0)
}
