"""`python slim.py SITE_PACKAGES`: remove from installed packages what a server never uses.

For the image alone, where every megabyte is pulled by every host. Each rule names what goes and
why nothing misses it; tests/containers asks the finished image for everything that the server does.
A rule that finds nothing ends the build: the package has changed, and the rule with it.
"""

import shutil
import sys
from pathlib import Path

# Found in any package.
_ANYWHERE = (
    "*/**/tests",  # what packages test themselves with
    "*/include",  # headers, sources and stubs are for compilers and type checkers
    "**/*.h",
    "**/*.c",
    "**/*.cpp",
    "**/*.a",
    "**/*.pyx",
    "**/*.pxd",
    "**/*.pxi",
    "**/*.pyi",
)
_NAMED = (
    # A file is linked by the name that ends in its ABI version; the wheel holds copies under two
    # other names, for those who compile against it.
    "pyarrow/libarrow_python*.so",
    "pyarrow/libarrow_python*.so.*.*",
    # Flight is a transport of its own: no other library of pyarrow links it.
    "pyarrow/libarrow*flight.so*",
    "pyarrow/_flight.*",
    "pyarrow/src",
    "pyarrow/_pyarrow_cpp_tests.*",
    # The library for C programs: Python's own extension holds the same code.
    "onnxruntime/capi/libonnxruntime.so.*",
    # Tools that prepare large language models for ONNX.
    "onnxruntime/transformers",
    # The models that ONNX's own backends are tried on.
    "onnx/backend/test",
    # For the debugger of a browser.
    "swagger_ui_bundle/**/*.map",
)


def main(site_packages: Path) -> int:
    """Remove what the rules name and return 0; 1 with a sentence a rule that finds nothing."""
    is_stale = False
    for rule in (*_ANYWHERE, *_NAMED):
        found = sorted(site_packages.glob(rule))
        if not found:
            sys.stderr.write(f"{rule} finds nothing in {site_packages}: mend the rule\n")
            is_stale = True
        for path in found:
            _remove(path)
    return int(is_stale)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
