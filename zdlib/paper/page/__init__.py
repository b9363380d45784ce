"""What the report's page is made of: captions with shared notes, tables that fold and print, and its PDF."""
