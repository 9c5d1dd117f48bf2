"""What a difference between two arms is made of: every combination of their factors trained, shares by Shapley."""
