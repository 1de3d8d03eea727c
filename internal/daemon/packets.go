package daemon

import (
	"time"

	"pfwarden/capture"
)

// packet is a record on its way to the engine.
type packet struct {
	capture.Packet
	read time.Time
	next capture.Position // in the pflog file; zero if it came from the interface
}

// together is how many packets are taken from the queue at once.
const together = 64

// morePackets deals with a packet and with those that wait after it, so many at a time that the detector can be told of each a while before.
func (d *Daemon) morePackets(first packet) {
	d.taken = append(d.taken[:0], first)
	for dealt := 0; dealt < drain && d.takePackets(); {
		lead := d.engine.Lookahead()
		for i := range min(lead, len(d.taken)) {
			d.engine.Ahead(&d.taken[i].Packet)
		}
		for i := range d.taken {
			if lead > 0 && i+lead < len(d.taken) {
				d.engine.Ahead(&d.taken[i+lead].Packet)
			}
			d.packet(&d.taken[i])
		}
		dealt += len(d.taken)
		d.taken = d.taken[:0]
	}
}

// takePackets adds what waits in the queue to d.taken and says whether there is anything.
func (d *Daemon) takePackets() bool {
	for len(d.taken) < together {
		select {
		case p := <-d.packets:
			d.taken = append(d.taken, p)
			continue
		default:
		}
		break
	}
	return len(d.taken) > 0
}

func (d *Daemon) packet(p *packet) {
	d.read = p.read
	now := d.now()
	d.engine.Packet(now, p.read, &p.Packet)
	if p.next.Path != "" {
		d.pflogAt = p.next
	} else if p.Time.After(d.liveAt) {
		d.liveAt = p.Time
	}
}
