"""Training of many runs as one program: devices, initial values, order of samples, the loop, the population."""
