"""Reports: measures of the database as data, which the command line prints and a page shows."""
