"""`python -m lsps`."""

from __future__ import annotations

import sys

from lsps.cli.main import main

sys.exit(main())
