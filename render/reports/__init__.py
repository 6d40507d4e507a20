"""Reports about what the database holds: measured by one module each, shown as tables, JSON or a page."""
