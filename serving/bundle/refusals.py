"""Why a bundle was not opened."""


class BundleRefusedError(Exception):
    """A bundle is missing, altered or not of this format; the message says which and what to do."""
