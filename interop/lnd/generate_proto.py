"""Write lnd_pb2.py and lnd_pb2.pyi from src/lsps/node/lnd/lnd.proto: python -m interop.lnd.generate_proto"""

from __future__ import annotations

import sys
from pathlib import Path

from grpc_tools import protoc

SOURCE_ROOT = Path(__file__).resolve().parents[2] / "src"
PROTO = "lsps/node/lnd/lnd.proto"
GENERATED = ("lsps/node/lnd/lnd_pb2.py", "lsps/node/lnd/lnd_pb2.pyi")


def generate(into: Path) -> None:
    """Generate into this directory, in the package's folders. Exits with protoc's own message on an error."""
    arguments = ["protoc", f"-I{SOURCE_ROOT}", f"--python_out={into}", f"--pyi_out={into}", PROTO]
    if protoc.main(arguments) != 0:
        sys.exit("protoc refused the file: its message is above")


if __name__ == "__main__":
    generate(SOURCE_ROOT)
