"""Real RGB-D pictures under free licences, fetched from their public addresses and never part of this repository."""
