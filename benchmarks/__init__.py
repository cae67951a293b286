"""Each figure that the README quotes, beside the peer that it quotes it against, from one run."""
