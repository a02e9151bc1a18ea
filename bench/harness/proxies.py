"""The proxies under test: each of them as its own manual would have it set up for the work at hand."""

import json
import os
import re
from dataclasses import dataclass

from .programs import (NGINX_GLOBAL, Program, binary, both_in_one, certificate, free_port, listener, nginx_keys, program,
                       start_nginx)


@dataclass(frozen=True)
class Setup:
    """What a proxy is to do. Without a pool it takes as many calls as come."""

    to: tuple
    tls: bool = False
    workers: int = 1
    deadline: str = "30s"
    pool: int = 0
    queue: int = 0
    log: bool = False
    callers: str = "h1"  # or h2, by prior knowledge, or h2-tls
    api: str = "h1"  # or h2, grpc
    retries: bool = False
    upgrade: bool = False
    streams: bool = False  # responses come event by event


def curfew(setup, directory):
    keys = {
        "listen": "127.0.0.1:0",
        "url": f"{'https://localhost' if setup.tls else 'http://' + setup.to[0]}:{setup.to[1]}",
        "deadline": setup.deadline,
        "pool": {"size": setup.pool or 10000, "queue": setup.queue if setup.pool else 0},
        "keepalive": {"max_idle": 128, "idle_timeout": "60s"}}
    pem, key = certificate(directory)
    if setup.tls:
        keys["tls"] = {"ca_file": str(pem)}
    if setup.callers == "h2-tls":
        keys["listen_tls"] = keys.pop("listen")
        keys["caller_tls"] = {"cert_file": str(pem), "key_file": str(key)}
    if setup.api != "h1":
        keys["http2"] = {"use": "always", "streams": 100}
    if setup.retries:
        keys["retries"] = {"attempts": 2}
    if setup.upgrade:
        keys["upgrade"] = {}
    if setup.streams:
        keys["streams"] = {}
    conf = {"workers": setup.workers, "limits": {"connections": 20000},
            "log": {"level": "info", "access": str(directory / "curfew.access.log") if setup.log else "off"},
            "upstreams": {"api": keys}}
    return curfew_with(conf, directory)


def curfew_with(conf, directory, env=None):
    """Started with this configuration; listens where its first upstream does."""
    path = directory / "curfew.yaml"
    path.write_text(json.dumps(conf))  # which is YAML
    proxy = Program("curfew", [binary(), "serve", "-c", path], directory, env)
    proxy.read_address(r"upstream \S+ listens on (\S+)$(?=[^\0]*\bready$)")
    return proxy


_HAPROXY = """
global
    nbthread {workers}
    maxconn 9000
    {log}
defaults
    mode http
    {httplog}
    timeout connect {ms}ms
    timeout server {ms}ms
    timeout client {ms}ms
    timeout http-request {ms}ms
    timeout queue {ms}ms
    timeout http-keep-alive 60s
    timeout tunnel 60s
    http-reuse always
    {retries}
frontend callers
    bind fd@{fd} {bind}
    {refuse}
    default_backend api
backend api
    server api {host}:{port} {tls} {maxconn} {proto}
"""


def milliseconds(text):
    match = re.fullmatch(r"(\d+)(ms|s)", text)
    return int(match[1]) * (1000 if match[2] == "s" else 1)


def haproxy(setup, directory):
    sock, path = listener(), directory / "haproxy.cfg"
    path.write_text(_HAPROXY.format(
        workers=setup.workers, ms=milliseconds(setup.deadline), fd=sock.fileno(), host=setup.to[0], port=setup.to[1],
        tls=f"ssl verify required ca-file {certificate(directory)[0]} sni str(localhost) verifyhost localhost"
        if setup.tls else "",
        bind={"h1": "", "h2": "proto h2", "h2-tls": f"ssl crt {both_in_one(directory)} alpn h2"}[setup.callers],
        proto="" if setup.api == "h1" else "alpn h2" if setup.tls else "proto h2",
        retries="retries 1\n    retry-on conn-failure empty-response 502 503 504" if setup.retries else "",
        maxconn=f"maxconn {setup.pool}" if setup.pool else "",
        refuse=f"http-request deny deny_status 503 if {{ queue(api) ge {setup.queue} }}" if setup.pool else "",
        log="log stdout format raw local0" if setup.log else "", httplog="log global\n    option httplog"
        if setup.log else ""))
    return Program("haproxy", [program("haproxy"), "-db", "-f", path], directory, sock=sock)


_NGINX_PROXY = NGINX_GLOBAL + """
    keepalive_timeout 60s;
    client_header_timeout {ms}ms;
    client_body_timeout {ms}ms;
    send_timeout {ms}ms;
    upstream api {{
        server {host}:{port} max_fails=0 {max_conns};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen}{h2};
        location / {{
            {to}
            proxy_http_version 1.1;
            proxy_request_buffering off;
            {more}
            client_body_buffer_size 64k;
            proxy_connect_timeout {ms}ms;
            proxy_send_timeout {ms}ms;
            proxy_read_timeout {ms}ms;
            {tls}
        }}
    }}
}}
"""


def nginx_locations(setup):
    how = ["proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;" if setup.upgrade
           else 'proxy_set_header Connection "";']
    if setup.retries:
        how.append("proxy_next_upstream error timeout http_502 http_503 http_504; proxy_next_upstream_tries 2;")
    if setup.streams:
        how.append("proxy_buffering off;")
    return "\n            ".join(how)


def nginx(setup, directory):
    sock = listener()
    conf = _NGINX_PROXY.format(
        ms=milliseconds(setup.deadline), host=setup.to[0], port=setup.to[1],
        max_conns=f"max_conns={setup.pool}" if setup.pool else "", h2="" if setup.callers == "h1" else " http2",
        to="grpc_pass grpc://api;" if setup.api == "grpc" else f"proxy_pass {'https' if setup.tls else 'http'}://api;",
        more=nginx_locations(setup),
        tls=f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {certificate(directory)[0]}; "
            "proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3;"
        if setup.tls else "",
        **nginx_keys("nginx", directory, sock, workers=setup.workers,
                     log=f"{directory}/nginx.access.log" if setup.log else "off"))
    return start_nginx("nginx", conf, directory, sock)


def go(setup, directory):
    sock = listener()
    argv = [directory / "goproxy", "-fd", sock.fileno(), "-to",
            f"{'https' if setup.tls else 'http'}://{setup.to[0]}:{setup.to[1]}",
            "-pool", setup.pool or 10000, "-queue", setup.queue, "-timeout", setup.deadline]
    if setup.tls:
        argv += ["-ca", certificate(directory)[0]]
    return Program("go", argv, directory, env={"GOMAXPROCS": str(setup.workers)}, sock=sock)


def relay(setup, directory):
    sock = listener()
    return Program("relay", [directory / "relay", sock.fileno(), *setup.to], directory, sock=sock)


def nghttpx(setup, directory):
    pem, key = certificate(directory)
    port, ms = free_port(), milliseconds(setup.deadline)
    argv = [program("nghttpx"), "--conf=/dev/null", "--single-process", "--single-thread", "--no-ocsp", "--errorlog-file=/dev/stderr",
            f"--frontend=127.0.0.1,{port}{'' if setup.callers == 'h2-tls' else ';no-tls'}",
            f"--backend={'localhost' if setup.tls else setup.to[0]},{setup.to[1]};;proto={'http/1.1' if setup.api == 'h1' else 'h2'}"
            + (";tls" if setup.tls else ""),
            f"--cacert={pem}", "--frontend-http2-max-concurrent-streams=100", "--backend-keep-alive-timeout=60s",
            f"--backend-read-timeout={ms}ms", f"--stream-read-timeout={ms}ms", f"--backend-write-timeout={ms}ms", key, pem]
    return Program("nghttpx", argv, directory, address=("127.0.0.1", port))


_SQUID = """
http_port 127.0.0.1:{port}
http_access allow all
cache deny all
cache_mem 8 MB
access_log none
cache_log /dev/null
pid_filename none
coredump_dir none
shutdown_lifetime 0 seconds
client_persistent_connections on
server_persistent_connections on
forwarded_for delete
via off
"""


def squid(setup, directory):
    """To whatever its callers name. Its shared memory has the port in its name, so that what was left behind is not met."""
    port, path = free_port(), directory / "squid.conf"
    path.write_text(_SQUID.format(port=port))  # as root it becomes the user proxy, who may write nowhere there
    return Program("squid", [program("squid"), "-N", "-n", f"curfew{port}", "-f", path], directory, address=("127.0.0.1", port),
                   patience=5)  # or its shared memory stays


def tinyproxy(setup, directory):
    port, path = free_port(), directory / "tinyproxy.conf"
    path.write_text(f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 2000\nLogLevel Critical\n"
                    f"LogFile \"{directory}/tinyproxy.log\"\nDisableViaHeader Yes\n")
    return Program("tinyproxy", [program("tinyproxy"), "-d", "-c", path], directory, address=("127.0.0.1", port))


STARTERS = {"curfew": curfew, "haproxy": haproxy, "nginx": nginx, "go": go, "nghttpx": nghttpx, "squid": squid,
            "tinyproxy": tinyproxy, "relay": relay}


def start(name, setup, directory):
    return STARTERS[name](setup, directory)
