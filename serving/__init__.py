"""The inference server: Open Inference Protocol V2 over HTTP for the champions of a registry.

Its own process in its own small environment, and its own image, made of this folder alone. Training
imports `serving.bundle` from it, so that a model is opened by the same code that saved it.
"""

VERSION = "0.2.0.dev0"
"""Of the whole project: the server's image has no other folder, so it stands here and only here.
`tests/unit/test_version.py` holds to it what cannot import it."""
