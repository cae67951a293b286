"""Server processes: their ports, how they run, and how several of them stand behind one address."""
