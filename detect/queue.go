package detect

// links are a source's neighbours in a queue.
type links struct{ older, newer *source }

// queue is a list of sources from the oldest to the newest. A source can be in as many as it has links.
type queue struct {
	index          int // of its links in a source
	oldest, newest *source
}

// push adds a source, which must not be in the queue, as the newest.
func (q *queue) push(s *source) {
	s.links[q.index] = links{older: q.newest}
	if q.newest != nil {
		q.newest.links[q.index].newer = s
	} else {
		q.oldest = s
	}
	q.newest = s
}

// remove takes out a source, which must be in the queue.
func (q *queue) remove(s *source) {
	l := &s.links[q.index]
	if l.newer != nil {
		l.newer.links[q.index].older = l.older
	} else {
		q.newest = l.older
	}
	if l.older != nil {
		l.older.links[q.index].newer = l.newer
	} else {
		q.oldest = l.newer
	}
	*l = links{}
}

func (q *queue) newer(s *source) *source { return s.links[q.index].newer }

func (q *queue) older(s *source) *source { return s.links[q.index].older }
