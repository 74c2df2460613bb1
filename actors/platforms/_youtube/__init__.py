"""The parts of the YouTube adapter."""
