// A reverse proxy as one would write it with Go's standard library: httputil.ReverseProxy, a deadline for each call
// by context.WithTimeout, and a semaphore with a bounded queue in front of it. bench/run compares curfew with it.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync/atomic"
	"time"
)

// gate lets size calls through; up to queue more wait for their turn until their context ends.
type gate struct {
	next    http.Handler
	permits chan struct{}
	waiting int64
	queue   int64
	timeout time.Duration
}

func (g *gate) enter(ctx context.Context) int {
	select {
	case g.permits <- struct{}{}:
		return 0
	default:
	}
	defer atomic.AddInt64(&g.waiting, -1)
	if atomic.AddInt64(&g.waiting, 1) > g.queue {
		return http.StatusServiceUnavailable
	}
	select {
	case g.permits <- struct{}{}:
		return 0
	case <-ctx.Done():
		return http.StatusGatewayTimeout
	}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), g.timeout)
	defer cancel()
	if status := g.enter(ctx); status != 0 {
		w.WriteHeader(status)
		return
	}
	defer func() { <-g.permits }()
	g.next.ServeHTTP(w, r.WithContext(ctx))
}

func answerFailure(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		w.WriteHeader(http.StatusGatewayTimeout)
		return
	}
	w.WriteHeader(http.StatusBadGateway)
}

func roots(file string) *x509.CertPool {
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(file)
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		log.Fatalf("no certificates in %s: %v", file, err)
	}
	return pool
}

func main() {
	fd := flag.Int("fd", 3, "listening socket that was inherited")
	to := flag.String("to", "", "URL of the upstream")
	size := flag.Int("pool", 50, "calls at the upstream at once")
	queue := flag.Int64("queue", 100, "calls that may wait")
	timeout := flag.Duration("timeout", 2*time.Second, "deadline of a call")
	ca := flag.String("ca", "", "file of the authorities that are trusted")
	flag.Parse()

	upstream, err := url.Parse(*to)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.FileListener(os.NewFile(uintptr(*fd), "listener"))
	if err != nil {
		log.Fatal(err)
	}
	transport := &http.Transport{
		MaxIdleConns:        0,
		MaxIdleConnsPerHost: 128,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
	if *ca != "" {
		transport.TLSClientConfig = &tls.Config{RootCAs: roots(*ca), ServerName: "localhost"}
	}
	proxy := httputil.NewSingleHostReverseProxy(upstream)
	proxy.Transport = transport
	proxy.ErrorHandler = answerFailure
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	server := &http.Server{
		Handler:  &gate{next: proxy, permits: make(chan struct{}, *size), queue: *queue, timeout: *timeout},
		ErrorLog: proxy.ErrorLog,
	}
	log.Fatal(server.Serve(listener))
}
