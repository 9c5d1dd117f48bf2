"""What is measured inside a network: so far the worked example of batch normalization."""
