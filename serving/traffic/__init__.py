"""Who may ask, how much at once, which version answers, and the way out."""
