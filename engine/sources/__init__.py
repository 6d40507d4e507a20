"""Where datasets come from: the Hub, files, the sample that ships with hfmap."""
