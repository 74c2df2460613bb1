"""The parts of the Pinterest adapter."""
