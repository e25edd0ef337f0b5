"""The node contract on LND, over gRPC. Needs the optional dependency: pip install lsps[lnd]."""

import os

# grpc's C core reports each lost connection on standard error, where progress and prompts belong; our streams log it.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
