"""Engines whose processes, files and memory are taken from them, and what comes of that."""
