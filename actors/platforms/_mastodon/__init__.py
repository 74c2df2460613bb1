"""The parts of the Mastodon adapter."""
