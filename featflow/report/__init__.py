"""The static site: one page that shows a whole study."""
