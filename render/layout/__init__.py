"""The layout of the map: neighbours, the fit, what is placed later, and how good it is."""
