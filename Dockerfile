# pfwarden for trying out: docker-compose.yml runs its demo. A gateway runs the binary itself, beside its PF.
FROM golang:1.26-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libpcap-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN go build -trimpath -o /pfwarden ./cmd/pfwarden

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends libpcap0.8 && rm -rf /var/lib/apt/lists/* \
	&& useradd --system --no-create-home --shell /usr/sbin/nologin pfwarden
COPY --from=build /pfwarden /usr/local/bin/pfwarden
USER pfwarden
EXPOSE 9845
ENTRYPOINT ["pfwarden"]
CMD ["demo"]
