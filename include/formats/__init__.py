"""The file formats that a delivery may have, each read a part at a time with bounded memory.

A format knows bytes, fields and lines; which values are good is not its business. Whatever bytes
it is given it raises nothing but FileRefusedError.

Imported by file: whether a file is complete is asked where nothing that reads rows is loaded.
"""
