"""The parts of the TikTok adapter."""
