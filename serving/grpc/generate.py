"""Writes `inference_pb2.py` and `inference_pb2.pyi` from `inference.proto`.

    python -m serving.grpc.generate

Needs grpcio-tools, which the server itself does not.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROTO = HERE / "inference.proto"


def generate(into: Path) -> int:
    """Generate the modules under a folder, in their package's place; return protoc's exit code."""
    from grpc_tools import protoc

    outputs = [f"--python_out={into}", f"--pyi_out={into}"]
    code: int = protoc.main(["protoc", f"-I{ROOT}", *outputs, str(PROTO.relative_to(ROOT))])
    return code


if __name__ == "__main__":
    sys.exit(generate(ROOT))
