"""The parts of the X adapter."""
