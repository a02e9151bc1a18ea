"""Ports that stay with whom they are given to."""

import random
import socket

# Below those that the kernel gives to sockets without a port of their own, and so to connections.
FIRST, LAST = 10000, 30000


def free_port(host="127.0.0.1"):
    """For a program that is to listen by itself, even again and again. Nobody is given it in the meantime but by another free_port."""
    while True:
        with socket.socket() as probe:
            port = random.randint(FIRST, LAST)
            try:
                probe.bind((host, port))
                return port
            except OSError:
                continue


def bind_for_good(sock, host, port=0):
    """
    Binds to `port` of `host`, or to one that is free. A port that the kernel has chosen it takes back as soon as the socket no longer
    listens (shutdown); one that was asked for stays until the socket is closed.
    """
    with socket.socket(sock.family) as chosen:
        for one in (chosen, sock):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        chosen.bind((host, port))
        sock.bind((host, chosen.getsockname()[1]))
