"""Certificates for the tests, made by openssl once a session."""

import ssl
import subprocess


class Certificates:
    """A CA that is trusted, one that is not, and server and client certificates that they have signed."""

    def __init__(self, directory):
        self.directory = directory
        self._authority("ca")
        self._authority("other-ca")
        self._leaf("server", "ca", "DNS:localhost,DNS:api.test,IP:127.0.0.1,IP:::1")
        self._leaf("wrong-name", "ca", "DNS:elsewhere.test")
        self._leaf("untrusted", "other-ca", "DNS:localhost,DNS:api.test,IP:127.0.0.1")
        self._leaf("expired", "ca", "DNS:localhost,DNS:api.test,IP:127.0.0.1", days="-1")
        self._leaf("soon", "ca", "DNS:client.test", days="10")
        self._leaf("client", "ca", "DNS:client.test")
        self._leaf("spiffe", "ca", "URI:spiffe://cluster.local/ns/shop/sa/checkout")

    def cert(self, name):
        return str(self.directory / f"{name}.pem")

    def key(self, name):
        return str(self.directory / f"{name}.key")

    @property
    def ca(self):
        return self.cert("ca")

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.directory, check=True, capture_output=True, timeout=30)

    def _key(self, name):
        self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")

    def _authority(self, name):
        self._key(name)
        self._openssl("req", "-x509", "-new", "-key", f"{name}.key", "-out", f"{name}.pem", "-days", "365",
                      "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def _leaf(self, name, authority, names, days="90"):
        self._key(name)
        (self.directory / f"{name}.ext").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
        self._openssl("req", "-new", "-key", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                      "-CAcreateserial", "-out", f"{name}.pem", "-days", days, "-extfile", f"{name}.ext")

    def server(self, name="server", *, client_ca=None, maximum=None, minimum=None):
        """A TLS context for a scripted upstream."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert(name), self.key(name))
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        if maximum:
            context.maximum_version = maximum
        if minimum:
            context.minimum_version = minimum
        return context
