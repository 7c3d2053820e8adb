"""The report: measurements as a page, tables and charts."""
