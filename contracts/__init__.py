"""The types that actors share. Imports the standard library and msgspec alone."""
