package screen

import (
	"container/list"
	"time"
)

// cache keeps a bounded number of answers for a time; the least recently used goes first. It is not safe for concurrent use.
type cache[V any] struct {
	max   int
	order *list.List // of *answer[V], the most recently used first
	byKey map[string]*list.Element
}

type answer[V any] struct {
	key   string
	value V
	until time.Time
}

func newCache[V any](size int) *cache[V] {
	return &cache[V]{max: size, order: list.New(), byKey: map[string]*list.Element{}}
}

func (c *cache[V]) get(key string, now time.Time) (value V, ok bool) {
	e := c.byKey[key]
	if e == nil {
		return value, false
	}
	a := e.Value.(*answer[V])
	if !now.Before(a.until) {
		c.order.Remove(e)
		delete(c.byKey, key)
		return value, false
	}
	c.order.MoveToFront(e)
	return a.value, true
}

func (c *cache[V]) put(key string, value V, until time.Time) {
	if e := c.byKey[key]; e != nil {
		e.Value = &answer[V]{key, value, until}
		c.order.MoveToFront(e)
		return
	}
	c.byKey[key] = c.order.PushFront(&answer[V]{key, value, until})
	if len(c.byKey) > c.max {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.byKey, last.Value.(*answer[V]).key)
	}
}
