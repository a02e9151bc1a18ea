"""What the integration tests stand on: the real binary, and peers that are scripted byte by byte."""
