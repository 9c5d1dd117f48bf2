"""Names of arms and runs, which may hold anything, as names that every file system takes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

LONGEST = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]|^[.-]|[.]$")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """Return for every name another for one file or folder, no two alike, upper and lower case taken as the same.

    A name of letters, digits and `._=+-` stays as it is. Other characters become `%` and the hexadecimal of their
    UTF-8; a name that is long, reserved, or like another one but for case, ends in its hash.
    """
    taken: dict[str, str] = {}
    for name in names:
        safe = _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)
        is_hashed = not safe or len(safe) > LONGEST or _RESERVED.fullmatch(safe) is not None
        if is_hashed or safe.casefold() in {other.casefold() for other in taken.values()}:
            safe = f"{safe[:LONGEST] or 'name'}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        taken[name] = safe
    return taken
