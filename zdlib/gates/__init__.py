"""Where everything comes in and goes out: files that are opened, files that are written. Knows no format's meaning."""
