"""The parts of the Bluesky adapter."""
