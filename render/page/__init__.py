"""The page of the map: its data, its drawing, the documents around it."""
