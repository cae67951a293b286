"""Server processes: their ports, their start and shutdown, and several workers on one port."""
