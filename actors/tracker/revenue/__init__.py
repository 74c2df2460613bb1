"""Money: what posts earned, what they cost, and where each number comes from. docs/revenue.md has the rules."""
