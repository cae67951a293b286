"""What a text says, whoever sends it: read by training and server with the same functions.

Imports nothing but the standard library, because specs are read with it every few seconds.
"""
