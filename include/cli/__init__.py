"""`./ratchet`: landing, quarantine, contract and champions from the command line."""
