"""A run or a whole cleaning as a report: one page that needs nothing beside it, and the same for machines."""
