"""What goes over the wire: V2 requests to matrices, probabilities and metadata to V2 answers."""
