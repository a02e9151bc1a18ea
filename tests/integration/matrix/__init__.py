"""Each state of a call, hit by each event that can hit it: matrix.txt says what has to become of it."""
