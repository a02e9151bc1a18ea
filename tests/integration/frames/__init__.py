"""What a peer may send over HTTP/2, frame by frame (RFC 9113) and block by block (RFC 7541), and what it gets for it."""
