"""The command line of `./ratchet`: its commands, their arguments, and their time limits."""
