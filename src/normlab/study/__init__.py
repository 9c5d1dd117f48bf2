"""A study: its design, its runs, their records, and what they amount to."""
