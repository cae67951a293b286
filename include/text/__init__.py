"""Text from outside and for people: shown safely, decoded, matched by what was probably meant."""
