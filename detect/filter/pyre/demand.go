package pyre

// demands notes which text a group calls for: where every match must pass a conditional on the group that lies after it, and the
// conditional's first branch is plain text, a group that took part is in vain unless that text is still to come. taken are the
// groups that lie before, at places where the machine goes on to whatever follows.
func (a *assembler) demands(n *node, taken map[int]bool) {
	switch n.kind {
	case kGroup:
		a.demands(n.subs[0], taken)
	case kConcat:
		for _, s := range n.subs {
			a.demands(s, taken)
			groups(s, taken)
		}
	case kCondition:
		if text, ok := plainText(n.subs[0]); ok && text != "" && taken[n.number] {
			a.later[n.number] = text
		}
	}
}

// groups collects the numbers of the groups in n. It leaves out what is matched on its own, without regard to what follows.
func groups(n *node, into map[int]bool) {
	if n.kind == kLook || n.kind == kAtomic || n.possessive {
		return
	}
	if n.kind == kGroup && n.number > 0 {
		into[n.number] = true
	}
	for _, s := range n.subs {
		groups(s, into)
	}
}
