"""What Instagram, Facebook and Threads share, and their parts."""
