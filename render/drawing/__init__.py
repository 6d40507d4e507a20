"""What the page is made of: one query, its columns, the plot, the documents around it."""
