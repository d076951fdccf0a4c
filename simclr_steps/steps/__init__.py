"""One verb a file: what the commands do, each of which reads files and writes files."""
