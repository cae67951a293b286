"""How much memory a benchmark's own process had."""

from pathlib import Path


def peak_mib() -> float:
    """Return the most memory that this process had; rusage would count its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
