"""The protocol's words for what a tensor holds."""

TEXT = "BYTES"
TRUTH = "BOOL"  # a feature is 1 where it is true and 0 where it is not
FLOATS = ("FP64", "FP32", "FP16")
INTEGERS = tuple(f"{kind}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64))
