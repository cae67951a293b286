"""The file formats that a delivery may have, each read part by part in bounded memory.

A format reads bytes, fields and lines; it does not decide which values are good. Whatever bytes it
is given, it raises nothing but FileRefusedError.

Import the modules one by one: code that checks whether a file is complete must not load what reads
rows.
"""
