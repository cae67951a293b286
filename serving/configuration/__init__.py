"""What the environment and MLServer's files say, read once."""
