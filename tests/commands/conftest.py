"""What the tests of the sources have too: pictures, and a call of the scan."""

from tests.input.conftest import fashion, numbered, photo, scan, stamps

__all__ = ["fashion", "numbered", "photo", "scan", "stamps"]
