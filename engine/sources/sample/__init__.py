"""Short cards of well-known public datasets, written for hfmap, so that it can be tried without key or network.

`cards/` holds one file a dataset, named `org--name.md`. `cards/listing.json` holds likes, downloads and dates as
the Hub gave them in April 2026 (creation dates to the year).
"""
