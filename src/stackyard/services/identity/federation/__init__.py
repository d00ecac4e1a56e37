"""Federation (OS-FEDERATION): users of other identity providers sign in, and what they may do follows from rules."""
