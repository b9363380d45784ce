"""What people start: the command line. May use every other room; no other room imports it."""
