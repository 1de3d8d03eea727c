# For BSD make and GNU make. Everything is plain go commands; see also setup.sh and .ci/run.
GO ?= go
PREFIX ?= /usr/local
MANDIR ?= $(PREFIX)/man

all: build

build:
	$(GO) build -trimpath -o pfwarden ./cmd/pfwarden

demo: build
	./pfwarden replay --samples

test:
	$(GO) test -timeout 30m ./...

race:
	$(GO) test -timeout 30m -race ./...

lint:
	test -z "$$(gofmt -l .)"
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

generate:
	$(GO) generate ./...

# Configurations are installed as samples only: the program needs none to start with.
install: build
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/share/examples/pfwarden
	install -m 755 pfwarden $(DESTDIR)$(PREFIX)/sbin/pfwarden
	cp -R etc/* $(DESTDIR)$(PREFIX)/share/examples/pfwarden/
	rm -f $(DESTDIR)$(PREFIX)/share/examples/pfwarden/*_test.go
	for f in man/*.[1-9]; do test ! -f $$f || { s=$${f##*.}; install -d $(DESTDIR)$(MANDIR)/man$$s && install -m 644 $$f $(DESTDIR)$(MANDIR)/man$$s/; } || exit 1; done

clean:
	rm -rf pfwarden dist .cache

.PHONY: all build demo test race lint generate install clean
