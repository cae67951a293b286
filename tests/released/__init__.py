"""What released versions wrote, kept so that later ones are held to opening it."""
