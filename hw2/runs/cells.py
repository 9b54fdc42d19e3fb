"""Text in a CSV file that people open in a spreadsheet."""

from __future__ import annotations

import re

# Wide signs too, which spreadsheets read as the narrow ones.
_COMPUTED = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def safe(text: str, *, raw: bool = False) -> str:
    """Puts an apostrophe before text that a spreadsheet would compute, such as `=1+1`.

    A number is left as it is, and with `raw` everything.

    Source: OWASP, "CSV Injection", owasp.org/www-community/attacks/CSV_Injection.
    """
    if not raw and _COMPUTED.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text
