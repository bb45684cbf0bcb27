"""What goes from one stage of a job to its next, in bytes that nothing outside of the job reads."""
