"""What the layout pass is made of: points, their neighbours, the fit, what is placed later, and how good it is."""
