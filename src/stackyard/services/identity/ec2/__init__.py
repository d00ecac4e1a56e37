"""EC2 credentials: keys that sign requests the way Amazon's clients do, and tokens for requests so signed."""
