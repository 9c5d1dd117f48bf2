"""What is said of batch normalization, claim by claim: measured on the user's data and network, and judged."""
