"""The parts of the LinkedIn adapter."""
