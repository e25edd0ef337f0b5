"""Everything that happened in a run, as lines; their hash tells whether two runs were the same."""

from __future__ import annotations

import hashlib

from tests.simulation.loop import SimulatedLoop


class Trace:
    """Lines go into the hash; `keep` makes them readable afterwards as well."""

    def __init__(self, loop: SimulatedLoop, *, keep: bool = False) -> None:
        self.lines: list[str] = []
        self.keep = keep
        self._loop = loop
        self._hash = hashlib.sha256()

    def note(self, line: str) -> None:
        """One thing that happened, after everything that the loop ran until now."""
        ran = self._loop.trace
        text = f"{'|'.join(ran)}\n{self._loop.micros} {line}\n"
        ran.clear()
        self._hash.update(text.encode())
        if self.keep:
            self.lines.append(f"{self._loop.time():12.6f}  {line}")

    def remark(self, line: str) -> None:
        """To be read, if anybody reads; not in the hash, for it may not be there next time."""
        if self.keep:
            self.lines.append(f"{self._loop.time():12.6f}  ({line})")

    def digest(self) -> str:
        """Of all that was noted."""
        return self._hash.hexdigest()
