"""The inference server: Open Inference Protocol V2 over HTTP for the champions of a registry.

Its own process in its own small environment. Of the rest of the product it imports
`include.bundle` alone, so that a model is opened by the same code that saved it.
"""

VERSION = "0.1.0"
