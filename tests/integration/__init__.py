"""A package, so that the stack is stopped after its last test and not after the last of all."""
