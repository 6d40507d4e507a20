"""The topics of the map: groups of neighbours in layers, and their names."""
