"""Who is connected, how many of them may be, and how long each may take."""
