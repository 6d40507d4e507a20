"""Handing the page on: as a folder, or as a Space."""
