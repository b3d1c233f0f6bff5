"""What every room uses: errors with hints, running tools, progress, paths, files."""
