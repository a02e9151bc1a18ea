// A GET over HTTP/2 by TLS: fetch URL CA_FILE. Prints a line of JSON: protocol, status, bytes that came, whether they came to an end.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
)

func main() {
	pem, _ := os.ReadFile(os.Args[2])
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	said := map[string]interface{}{"protocol": "", "status": 0, "bytes": 0, "whole": false}
	if response, err := client.Get(os.Args[1]); err == nil {
		count, err := io.Copy(io.Discard, response.Body)
		said = map[string]interface{}{"protocol": response.Proto, "status": response.StatusCode, "bytes": count, "whole": err == nil}
	}
	json.NewEncoder(os.Stdout).Encode(said)
}
