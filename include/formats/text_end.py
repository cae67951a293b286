"""Whether a text ends with a whole line, as far as every format of texts has it."""

from include.formats.foreign import foreign_data, foreign_text


def text_reaches_its_end(head: bytes, tail: bytes) -> bool:
    """Say whether the last line has its end, or the file is none that more bytes would mend."""
    # In UTF-16 and UTF-32 zero bytes may follow the line feed.
    if tail.rstrip(b"\0").endswith(b"\n") or foreign_data(head):
        return True
    return b"\0" not in head and bool(foreign_text(head))
