"""Open connections: by client, how many there may be, and how long each may take."""
