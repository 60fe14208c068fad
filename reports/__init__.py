"""What people read: the HTML report, its figures and sections, and the command line."""
