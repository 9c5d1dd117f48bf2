"""Damage done to sound bytes: some changed, some cut off, some repeated."""

from __future__ import annotations

from hypothesis import strategies as st

# Bytes that mean something in most formats: zero, signs, ends of lines, quotes, the largest.
TELLING = b"\x00\x01\x7f\x80\xff\n\r\",;'-.0123456789eE"


# Whether to do what makes an input unsound: most are to get past the first check.
RARELY = st.sampled_from([False] * 4 + [True])


@st.composite
def damage(draw: st.DrawFn, sound: bytes) -> bytes:
    """Return the bytes with up to four places changed, perhaps cut off or with a piece repeated; or as they are."""
    data = bytearray(sound)
    for _ in range(draw(st.integers(0, 4))):
        if data:
            place = draw(st.integers(0, len(data) - 1))
            data[place] = draw(st.one_of(st.sampled_from(TELLING), st.integers(0, 255)))
    if draw(RARELY):
        del data[draw(st.integers(0, len(data))) :]
    if data and draw(RARELY):
        start = draw(st.integers(0, len(data) - 1))
        data[start:start] = data[start : start + draw(st.integers(1, 64))]
    return bytes(data)


# Sizes that headers may claim: small, at the edges of 8, 16, 31, 32, 63 and 64 bits, and beyond.
SIZES = st.one_of(
    st.integers(0, 12),
    st.sampled_from([n + d for n in (2**8, 2**16, 2**31, 2**32, 2**63, 2**64) for d in (-1, 0, 1)]),
)
